"""Every row of the registry is complete, and what it says of its files is so."""

import io
import json
import re
import zipfile

import pytest
from typer.testing import CliRunner

from lmbook import data
from lmbook.cli.data import app
from lmbook.data.archives import read_members
from lmbook.data.cards import Archive, Bundled
from lmbook.data.checks import state_of
from lmbook.data.pip_client import path_of

ROWS = list(data.registry.values())
ARCHIVES = [archive for row in ROWS for archive in row.archives]
run = CliRunner().invoke


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row_is_complete(row):
    for field in ("title", "source", "licence", "rows", "split", "task", "loader"):
        assert getattr(row, field).strip(), field
    assert row.files and row.baselines
    assert row.kind == ("archive" if row.archives else "bundled")
    for file in row.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.size > 0 and file.licence and file.licence_file


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_card_tells_source_licence_hash_and_what_to_beat(row):
    card = row.card()
    for file in row.files:
        assert file.sha256[:12] in card and file.licence_file in card
    for b in row.baselines:
        assert f"{b.value:g}" in card and b.metric in card
    widths = {line.count("|") for line in card.split("\n\n")[0].splitlines()}
    assert widths == {3}, "a cell contains a bar"


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.package)
def test_archive_is_what_the_row_says(archive):
    path = data.fetch(archive)
    assert path.stat().st_size == archive.size
    assert read_members(archive)
    (text,) = read_members(archive, archive.licence_file).values()
    named = f"License: {archive.licence}".encode()  # a source archive may name it and no more
    without = "text is not in the package" in archive.licence
    assert without or b"copyright" in text.lower() or (archive.source_only and named in text)
    assert archive.package.lower() in archive.filename.lower().replace("_", "-")


def test_bundled_text_is_sound_and_its_licence_lies_beside_it():
    row = data.registry["language_reference"]
    assert set(state_of(row).values()) == {"sound"}
    from importlib.resources import files

    (file,) = row.files
    assert isinstance(file, Bundled)
    licence = files("lmbook").joinpath(file.licence_file.removeprefix("lmbook/")).read_text()
    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in licence


def test_unknown_name_lists_the_known():
    with pytest.raises(data.UnknownDataset, match=r"no data set 'mnist'; known: mnist_5k, "):
        data.registry["mnist"]
    assert "mnist" not in data.registry


def test_baseline_by_metric_and_method():
    row = data.registry["mnist_5k"]
    assert row.baseline("accuracy", "CNN") == 95.2
    with pytest.raises(KeyError, match="no single baseline"):
        row.baseline("accuracy")


def test_list_as_json_and_table():
    rows = json.loads(run(app, ["list", "--json"]).stdout)
    assert [row["name"] for row in rows] == list(data.registry)
    assert all(row["state"] in ("sound", "missing", "damaged") for row in rows)
    assert "mnist" in run(app, ["list"]).stdout


def test_verify_tells_sound_missing_and_damaged(tmp_path, monkeypatch):
    archive = data.registry["mnist_5k"].archives[0]
    assert json.loads(run(app, ["fetch", "mnist_5k", "--json"]).stdout)[0]["state"] == "sound"
    whole = path_of(archive).read_bytes()
    monkeypatch.setenv("LMBOOK_CACHE", str(tmp_path))
    for content, state, code in ((None, "missing", 0), (whole, "sound", 0), (b"x", "damaged", 1)):
        if content is not None:
            path_of(archive).write_bytes(content)
        result = run(app, ["verify", "mnist_5k", "--json"])
        assert json.loads(result.stdout)[0]["state"] == state
        assert result.exit_code == code
    assert run(app, ["verify", "no-such-set"]).exit_code == 2


def test_pattern_without_a_member_is_an_error():
    archive = data.registry["mnist_5k"].archives[0]
    with pytest.raises(data.DataError, match=r"no member that matches 'nothing/\*'"):
        read_members(archive, "nothing/*")


def test_source_archive_is_read_too(tmp_path, monkeypatch):
    import hashlib
    import tarfile

    monkeypatch.setenv("LMBOOK_CACHE", str(tmp_path))
    path = tmp_path / "thing-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("thing-1.0/rows.csv")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"1,2"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    archive = Archive("thing", "1.0", path.name, digest, 3, ("*/rows.csv",), "MIT", "*")
    assert archive.source_only
    assert read_members(archive) == {"thing-1.0/rows.csv": b"1,2"}
    assert not zipfile.is_zipfile(path)
