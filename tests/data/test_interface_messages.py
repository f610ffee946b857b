"""Catalogues are read as gettext reads them; strings are cleaned as said."""

import gettext
import io
import struct

import pytest

from lmbook import data
from lmbook.data.archives import read_members
from lmbook.data.messages import clean_pair, read_mo


def make_mo(entries, order="<"):
    """A compiled catalogue of (message, translation) byte strings."""
    n = len(entries)
    at = 28 + 16 * n
    tables, body = [b"", b""], b""
    for column in (0, 1):
        for entry in entries:
            tables[column] += struct.pack(f"{order}2I", len(entry[column]), at + len(body))
            body += entry[column] + b"\0"
    head = struct.pack(f"{order}7I", 0x950412DE, 0, n, 28, 28 + 8 * n, 0, 0)
    return head + tables[0] + tables[1] + body


@pytest.mark.parametrize("order", ["<", ">"])
def test_contexts_and_plurals(order):
    blob = make_mo(
        [
            (b"", b"Content-Type: text/plain; charset=utf-8\n"),
            (b"menu\x04Open", "打开".encode()),
            (b"%d file\0%d files", b"%d Datei\0%d Dateien"),
        ],
        order,
    )
    assert list(read_mo(blob)) == [
        ("Open", "打开"), ("%d file", "%d Datei"), ("%d files", "%d Dateien"),
    ]  # fmt: skip


def test_not_a_catalogue():
    with pytest.raises(ValueError, match="not a compiled gettext catalogue"):
        list(read_mo(b"x" * 64))


def test_agrees_with_gettext_on_a_real_catalogue():
    spyder = next(a for a in data.registry["ui_translations"].archives if a.package == "spyder")
    (blob,) = read_members(spyder, "spyder/locale/de/LC_MESSAGES/spyder.mo").values()
    theirs = gettext.GNUTranslations(io.BytesIO(blob))
    ours = dict(read_mo(blob))
    assert len(ours) > 1500
    assert all(theirs.gettext(message) == ours[message] for message in ours)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("&File", "文件(&F)"), ("File", "文件")),
        (("Save && quit", "Speichern && beenden"), ("Save & quit", "Speichern & beenden")),
        (("Sa&ve as…", "Enre&gistrer sous…"), ("Save as...", "Enregistrer sous...")),
        (("<b>Stop</b>\n now", "Jetzt  <b>halten</b>"), ("Stop now", "Jetzt halten")),
        (("Tom &amp; I", "Tom &amp; ich"), ("Tom & I", "Tom & ich")),
        (("%(a)s of %(b)d", "%(b)d: %(a)s"), ("{1} of {2}", "{2}: {1}")),
        (("%s in %s", "%s dans %s"), ("{1} in {2}", "{1} dans {2}")),
        (("Open {name} %1", "Öffne %1 {name}"), ("Open {1} {2}", "Öffne {2} {1}")),
        (("{} items", "{} 项"), ("{1} items", "{1} 项")),
        (("{{ x }} and {x}", "{x} et {{ x }}"), ("{1} and {1}", "{1} et {1}")),
        (("100%% sure", "100%% sicher"), ("100% sure", "100% sicher")),
    ],
)
def test_cleaning(before, after):
    assert clean_pair(*before) == after


@pytest.mark.parametrize(
    "pair",
    [
        ("Hello", "Hello"),  # not translated
        ("%s", "%s:"),  # nothing to translate
        ("404", "四〇四"),  # no letter
        ("Add %s", "Hinzufügen"),  # a placeholder is lost
        ("Add", "%s hinzufügen"),  # a placeholder is new
        ("Add %(a)s", "%(b)s hinzufügen"),  # another placeholder
        ("Open", ""),
        ("Open", "<br>"),
    ],
)
def test_pairs_that_say_nothing_are_dropped(pair):
    assert clean_pair(*pair) is None
