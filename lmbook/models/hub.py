"""Fetch a model's files from the Hugging Face Hub, one commit of them, and check their hashes."""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from lmbook.backend import require
from lmbook.data.cache import sha256_of

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


class HubError(RuntimeError):
    """A model that cannot be had from the Hub; the message says what to do."""


def download(name: str, revision: str | None = None, extra: tuple[str, ...] = ()) -> Path:
    """The folder with config.json and the .safetensors files of the model `name`, in the Hub's cache.

    Files named in `extra` come too, where the model has them.
    All files are of one commit, which is printed unless `revision` is a commit itself, and each has the
    hash that the Hub gives for it. What is in the cache is used without a network. `HF_ENDPOINT`
    names a mirror. Raises `HubError`, or `FileNotFoundError` for what can only be a folder.
    """
    if not _NAME.fullmatch(name):
        raise FileNotFoundError(f"from_pretrained: {name!r} is no folder, and no name on the Hub")
    hub = require("huggingface_hub", "hub", f"downloading {name}")
    config = _file(hub, name, "config.json", revision)
    commit = config.parent.name
    if revision != commit:
        print(f"{name}, revision {commit}")
    try:
        files = [_file(hub, name, "model.safetensors", commit)]
    except FileNotFoundError:
        index = _file(hub, name, "model.safetensors.index.json", commit)
        shards = set(re.findall(r'"([\w.-]+\.safetensors)"', index.read_text(encoding="utf-8")))
        files = [index, *(_file(hub, name, shard, commit) for shard in sorted(shards))]
    for file in extra:
        with suppress(FileNotFoundError):
            files.append(_file(hub, name, file, commit))
    for path in (config, *files):
        _verify(hub, path, name, commit)
    return config.parent


def _file(hub: Any, name: str, file: str, revision: str | None) -> Path:
    """The path of one file; `FileNotFoundError` if the model has no such file."""
    errors = require("huggingface_hub.errors", "hub", f"downloading {name}")
    where = f"{name}, {file}" + (f", revision {revision}" if revision else "")
    try:
        endpoint = os.environ.get("HF_ENDPOINT")
        return Path(hub.hf_hub_download(name, file, revision=revision, endpoint=endpoint))
    except errors.GatedRepoError as error:
        raise HubError(
            f"{where}: its owner wants you to accept terms on huggingface.co/{name} and to log in "
            "(hf auth login)"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"{where}: the Hub has no such model, or it is private; check the name"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{where}: the model has no such revision") from error
    except errors.LocalEntryNotFoundError as error:  # an EntryNotFoundError, too
        raise HubError(
            f"{where}: the Hub cannot be reached and the cache has no such file; with a network try again, "
            "or give from_pretrained a folder with config.json and model.safetensors"
        ) from error
    except errors.EntryNotFoundError as error:
        raise FileNotFoundError(
            f"{where}: the model has no such file; only checkpoints in safetensors format can be read"
        ) from error
    except Exception as error:  # the client lets those of its network library through
        raise HubError(f"{where}: the download failed ({error}); try again") from error


def _verify(hub: Any, path: Path, name: str, commit: str) -> None:
    """Compare a file with its hash on the Hub: SHA-256 of large files, git's SHA-1 of small ones."""
    want = path.readlink().name if path.is_symlink() else ""  # the cache calls its files so
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", want):  # but not on every system
        endpoint = os.environ.get("HF_ENDPOINT")
        url = hub.hf_hub_url(name, path.name, revision=commit, endpoint=endpoint)
        want = hub.get_hf_file_metadata(url).etag
    if len(want) == 64:
        got = sha256_of(path)
    else:
        content = path.read_bytes()
        got = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if got != want:
        raise HubError(
            f"{name}, {path.name}: its hash is {got}, the Hub's {want}: it is damaged; delete "
            f"{path.resolve()} and try again"
        )
