"""Models by their names: the real client against a hub of our own on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_pretrained import BERT, CONFIG, bert_state, gpt_state, write

from lmbook import models, tensor
from lmbook.backend import MissingDependency
from lmbook.models import hub

COMMIT, OLD = "a" * 40, "b" * 40


class Hub:
    """Repositories as folders: {name: {revision: folder}}; what was asked for is noted."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, Path]] = {}
        self.asked: list[str] = []
        self.wrong: set[str] = set()
        self.cut: set[str] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(False)

            def do_GET(self) -> None:
                self.answer(True)

            def answer(self, body: bool) -> None:
                outer.asked.append(f"{self.command} {self.path}")
                name, _, rest = self.path.removeprefix("/").partition("/resolve/")
                revision, _, file = rest.partition("/")
                found = outer.repositories.get(name)
                if found is None or revision not in found or not (found[revision] / file).is_file():
                    kind = (
                        "Repo"
                        if found is None
                        else "Revision"
                        if revision not in found
                        else "Entry"
                    )
                    if name == "owner/gated":
                        self.send_response(403)
                        self.send_header("X-Error-Code", "GatedRepo")
                    else:
                        self.send_response(404)
                        self.send_header("X-Error-Code", f"{kind}NotFound")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                data = (found[revision] / file).read_bytes()
                large = file.endswith(".safetensors")
                tag = (
                    hashlib.sha256(data) if large else hashlib.sha1(b"blob %d\0" % len(data) + data)
                )
                if file in outer.wrong:
                    data = data[:-1] + bytes([data[-1] ^ 1])
                self.send_response(200)
                self.send_header("ETag", f'"{tag.hexdigest()}"')
                self.send_header("X-Repo-Commit", revision if len(revision) == 40 else COMMIT)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if body:
                    self.wfile.write(data[: len(data) // 2] if file in outer.cut else data)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    import huggingface_hub.constants as constants
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    server = Hub()
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    folder = write(tmp_path / "tiny", CONFIG, gpt_state())
    server.repositories["owner/tiny"] = {"main": folder, COMMIT: folder, OLD: folder}
    yield server
    server.stop()


def test_a_name_is_downloaded_pinned_and_cached(local: Hub, capsys: pytest.CaptureFixture) -> None:
    x = tensor([[1, 2, 3]])
    want = models.GPT.from_pretrained(local.repositories["owner/tiny"]["main"])(x).data
    model = models.GPT.from_pretrained("owner/tiny")
    np.testing.assert_array_equal(model(x).data, want)
    assert capsys.readouterr().out == f"owner/tiny, revision {COMMIT}\n"
    fetched = [line for line in local.asked if line.startswith("GET")]
    assert len(fetched) == 2 and all("/tiny/resolve/" in line for line in fetched)
    models.GPT.from_pretrained("owner/tiny", revision=COMMIT)
    assert capsys.readouterr().out == ""  # it says itself which it is
    assert [line for line in local.asked if line.startswith("GET")] == fetched
    models.GPT.from_pretrained("owner/tiny", revision=OLD)
    assert any(f"/resolve/{OLD}/" in line for line in local.asked)


def test_without_a_network_the_cache_serves_and_says_what_it_lacks(
    local: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = SimpleNamespace(**vars(time) | {"sleep": lambda seconds: None})
    monkeypatch.setattr("huggingface_hub.utils._http.time", patient)  # it tries for 23 seconds
    models.GPT.from_pretrained("owner/tiny")
    local.stop()
    models.GPT.from_pretrained("owner/tiny")
    for name in ("owner/other", "gpt2"):
        with pytest.raises(
            models.HubError, match=rf"{name}, config.json: the Hub cannot be reached"
        ):
            models.GPT.from_pretrained(name)


def test_files_in_pieces_come_one_by_one(local: Hub, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    folder, state = tmp_path / "tiny", gpt_state()
    parts = {"one.safetensors": list(state)[:5], "two.safetensors": list(state)[5:]}
    for file, names in parts.items():
        save_file({n: state[n] for n in names}, folder / file)
    (folder / "model.safetensors").unlink()
    table = {"weight_map": {n: file for file, names in parts.items() for n in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(table))
    model = models.GPT.from_pretrained("owner/tiny")
    np.testing.assert_array_equal(model.wte.weight.data, state["wte.weight"])


def test_an_encoder_of_sentences_brings_its_vocabulary(local: Hub, tmp_path: Path) -> None:
    folder = write(tmp_path / "bert", BERT, bert_state(models.BertModel))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d", "e", "f"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    local.repositories["owner/bert"] = {"main": folder, COMMIT: folder}
    encoder = models.SentenceEncoder.from_pretrained("owner/bert")
    assert encoder.max_length == 8 and encoder.encode(["a b c d e f a b c"]).shape == (1, 8)
    assert "GET /owner/bert/resolve/" + COMMIT + "/vocab.txt" in local.asked


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_damaged_download_is_found_by_its_hash(local: Hub, file: str) -> None:
    local.wrong.add(file)
    with pytest.raises(
        models.HubError, match=rf"owner/tiny, {file}: its hash is \w+, the Hub's \w+"
    ):
        models.GPT.from_pretrained("owner/tiny")


def test_a_download_that_breaks_off(local: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = SimpleNamespace(**vars(time) | {"sleep": lambda seconds: None})
    for module in ("file_download", "utils._http"):
        monkeypatch.setattr(f"huggingface_hub.{module}.time", patient)
    local.cut.add("model.safetensors")
    with pytest.raises(
        models.HubError, match=r"owner/tiny, model\.safetensors.*the download failed"
    ):
        models.GPT.from_pretrained("owner/tiny")
    local.cut.clear()
    assert models.GPT.from_pretrained("owner/tiny").num_parameters() > 0


def test_what_the_hub_has_not(local: Hub, tmp_path: Path) -> None:
    with pytest.raises(
        models.HubError, match=r"owner/nothing, config\.json: the Hub has no such model"
    ):
        models.GPT.from_pretrained("owner/nothing")
    with pytest.raises(models.HubError, match=r"revision v9: the model has no such revision"):
        models.GPT.from_pretrained("owner/tiny", revision="v9")
    with pytest.raises(models.HubError, match="accept terms"):
        models.GPT.from_pretrained("owner/gated")
    (tmp_path / "tiny" / "model.safetensors").rename(tmp_path / "tiny" / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="only checkpoints in safetensors format"):
        models.GPT.from_pretrained("owner/tiny")
    with pytest.raises(FileNotFoundError, match=r"'\./no/such/folder' is no folder, and no name"):
        models.GPT.from_pretrained("./no/such/folder")


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(MissingDependency, match=r'huggingface_hub.*pip install "lmbook\[hub\]"'):
        hub.download("owner/tiny")
