"""Messages of programs and their translations: reading gettext catalogues, cleaning the strings."""

import html
import re
import struct
from collections.abc import Iterator

_MAGIC = 0x950412DE


def read_mo(blob: bytes) -> Iterator[tuple[str, str]]:
    """Pairs (message, translation) of a compiled gettext catalogue (.mo).

    The context before "\\x04" is dropped; of a plural message, the singular is paired with the
    first form and the plural with the last.
    Source: GNU gettext manual, "The Format of GNU MO Files".
    """
    order = "<" if int.from_bytes(blob[:4], "little") == _MAGIC else ">"
    magic, _, count, messages, translations = struct.unpack_from(f"{order}5I", blob)
    if magic != _MAGIC:
        raise ValueError("read_mo: not a compiled gettext catalogue")

    def string(table: int, i: int) -> str:
        length, offset = struct.unpack_from(f"{order}2I", blob, table + 8 * i)
        return blob[offset : offset + length].decode("utf-8")

    for i in range(count):
        message = string(messages, i).rpartition("\x04")[2]
        forms = string(translations, i).split("\0")
        singular, _, plural = message.partition("\0")
        if singular:
            yield singular, forms[0]
        if plural:
            yield plural, forms[-1]


_PLACEHOLDER = re.compile(
    r"%\((?P<percent>\w+)\)[-+#0 ]*[\d.]*[a-zA-Z]"  # %(name)s
    r"|%(?P<number>\d)(?!\d|\.\d*[a-z])"  # %1
    r"|\{\{?\s*(?P<brace>[^{}]*?)\s*\}?\}"  # {name} {0} {} {{ name }}
    r"|%[-+#0]*[\d.]*[sdifrgxu](?![a-zA-Z])"  # %s
)
_ENTITY = re.compile(r"&#?\w+;")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_MNEMONIC_AFTER = re.compile(r"\s?[(（]&\w[)）]")  # 文件(&F)
_MNEMONIC = re.compile(r"&(&|(?=\w))")  # &File; && is an ampersand


def clean_pair(source: str, target: str) -> tuple[str, str] | None:
    """The pair as plain text, or None if it does not say the same thing twice.

    Markup, keyboard mnemonics and line breaks go; every placeholder becomes {1}, {2}, ... in the
    order of the source. None if the placeholders of the two sides differ or nothing is left to
    translate.
    """
    numbers: dict[str, int] = {}
    source, target = _plain(source), _plain(target)
    source = _number(source, numbers)
    known = len(numbers)
    target = _number(target, numbers)
    used = {int(n) for n in re.findall(r"\{(\d+)\}", target)}
    if len(numbers) != known or used != set(numbers.values()):
        return None
    words = re.sub(r"\{\d+\}", "", source)
    if not re.search(r"[^\W\d_]", words) or not target or source == target:
        return None
    return source, target


def _plain(text: str) -> str:
    text = _MNEMONIC_AFTER.sub("", text)
    text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    text = _TAG.sub(" ", text)
    text = _MNEMONIC.sub(r"\1", text)
    text = text.replace("…", "...").replace("%%", "%").replace("\u200b", "")
    return " ".join(text.split())


def _number(text: str, numbers: dict[str, int]) -> str:
    """Replace the placeholders of `text` by {number}; the same name gets the same number."""
    unnamed: dict[str, int] = {}

    def replace(match: re.Match[str]) -> str:
        name = match["percent"] or match["number"] or match["brace"]
        if not name:  # the n-th %s of one side is the n-th of the other
            unnamed[match[0]] = unnamed.get(match[0], 0) + 1
            name = f"{match[0]}#{unnamed[match[0]]}"
        return f"{{{numbers.setdefault(name, len(numbers) + 1)}}}"

    return _PLACEHOLDER.sub(replace, text)
