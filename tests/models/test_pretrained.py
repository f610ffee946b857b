"""Checkpoints that are damaged, hostile, or of another model; names of old files; memory; no copies."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from proofs import note

from lmbook import models, nn, optim, tensor
from lmbook.backend import CheckpointError, TensorFile

CONFIG = {
    "model_type": "gpt2",
    "vocab_size": 11,
    "n_positions": 8,
    "n_embd": 8,
    "n_layer": 1,
    "n_head": 2,
}
BERT = {
    "model_type": "bert", "vocab_size": 11, "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 8,
}  # fmt: skip


def gpt_state() -> dict[str, np.ndarray]:
    """The arrays of a GPT-2 as its checkpoint has them."""
    state = models.GPT(models.GPTConfig.from_hub(CONFIG)).state_dict()
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    return {n: np.ascontiguousarray(a.T if n.endswith(turned) else a) for n, a in state.items()}


def write(folder: Path, config: dict[str, Any], state: dict[str, np.ndarray]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    safetensors.numpy.save_file(state, folder / "model.safetensors")
    return folder


def raw(path: Path, header: Any, data: bytes = b"") -> Path:
    """A file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


ONE = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
DAMAGED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda p: p.write_bytes(b""), r"its header cannot have 0 bytes, the file has 0"),
    "text": (lambda p: p.write_text("<!doctype html>" * 9), r"its header cannot have"),
    "no header": (lambda p: raw(p, b"{]"), r"its header is no JSON"),
    "a deep header": (lambda p: raw(p, b"[" * 200_000), r"its header is no JSON"),
    "a list": (lambda p: raw(p, [1]), r"its header is no object"),
    "no offsets": (lambda p: raw(p, {"a": {}}), r"the header says nothing useful of 'a'"),
    "truncated": (lambda p: raw(p, ONE, b"1234"), r"it is truncated: the header asks for \d+ bytes"),
    "too long": (lambda p: raw(p, ONE, b"123456789"), r"there is something behind its arrays"),
    "wrong size": (
        lambda p: raw(p, {"a": ONE["a"] | {"shape": [3]}}, b"12345678"), r"F32 of shape \(3,\), has 8",
    ),
    "negative": (
        lambda p: raw(p, {"a": ONE["a"] | {"shape": [-2]}}, b"12345678"), r"has the shape \[-2\]",
    ),
    "overlap": (
        lambda p: raw(p, ONE | {"b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, b"12345678"),
        r"b begins at byte 4, the array before ends at 8",
    ),
    "huge header": (lambda p: p.write_bytes(b"\xff" * 7 + b"\x00ab"), r"its header cannot have"),
    "pickle": (lambda p: p.write_bytes(pickle.dumps({"a": [1] * 99})), r"is a pickle, which runs code"),
    "torch": (lambda p: torch.save({"a": torch.zeros(3)}, p), r"is a zip of pickles, which runs code"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_with_its_fault(name: str, tmp_path: Path) -> None:
    make, message = DAMAGED[name]
    make(tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=rf"x\.safetensors is .*{message}"):
        TensorFile(tmp_path / "x.safetensors")
    write(tmp_path, CONFIG, gpt_state())
    make(tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"(safetensors with|get it again|written|take)"):
        models.GPT.from_pretrained(tmp_path)


def test_every_type_is_read_as_the_library_reads_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?")
    state = {k: rng.integers(0, 2, (3, 2)).astype(k) for k in kinds}
    state |= {"empty": np.zeros((0, 4), "f4"), "scalar": np.array(2.5, "f4")}
    safetensors.numpy.save_file(state, tmp_path / "x.safetensors", {"note": "kept"})
    file = TensorFile(tmp_path / "x.safetensors")
    assert file.metadata == {"note": "kept"} and set(file.entries) == set(state)
    for name, want in state.items():
        for copy in (True, False):
            got = file.read(name, copy=copy)
            assert got.dtype == want.dtype and got.shape == want.shape
            np.testing.assert_array_equal(got, want)
    assert file.read("f2", np.float32).dtype == np.float32


def test_bfloat16_is_exact_and_float8_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    x = torch.randn(50).to(torch.bfloat16)
    save_file({"x": x, "y": x.to(torch.float8_e4m3fn)}, tmp_path / "x.safetensors")
    file = TensorFile(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(file.read("x"), x.float().numpy())
    with pytest.raises(CheckpointError, match=r"y is of type F8_E4M3, which NumPy has not"):
        file.read("y")


def test_parameters_are_the_files_memory_and_the_file_never_changes(tmp_path: Path) -> None:
    before = write(tmp_path, CONFIG, gpt_state()) / "model.safetensors"
    content = before.read_bytes()
    model = models.GPT.from_pretrained(tmp_path)
    base = {id(_owner(p.data)) for p in model.parameters()}
    assert len(base) == 1  # one map holds all
    assert not model.training
    loss = model(tensor([[1, 2, 3]])).sum()
    loss.backward()
    optim.SGD(model.parameters(), lr=0.1).step()
    again = models.GPT.from_pretrained(tmp_path)
    assert np.abs(model.wte.weight.data - again.wte.weight.data).max() > 0
    assert before.read_bytes() == content


def _owner(array: Any) -> Any:
    while getattr(array, "base", None) is not None and isinstance(array, np.ndarray):
        array = array.base
    return array


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "missing": (lambda s: s.pop("ln_f.bias"), r"missing: ln_f\.bias\. Is it"),
    "unknown": (lambda s: s.update(extra=np.zeros(1, "f4")), r"unknown: extra\. Is it"),
    "shape": (
        lambda s: s.update({"h.0.attn.c_attn.weight": np.zeros((24, 8), "f4")}),
        r"of another shape: h\.0\.attn\.c_attn\.weight \(8, 24\), here \(24, 8\)",
    ),
    "type": (
        lambda s: s.update({"wte.weight": np.zeros((11, 8), "i4")}),
        r"of another type: wte\.weight int32, here float32",
    ),
    "twice": (
        lambda s: s.update({"transformer.ln_f.bias": s["ln_f.bias"]}),
        r"given twice: ln_f\.bias \(as .*ln_f\.bias and .*ln_f\.bias\)",
    ),
    "many": (lambda s: [s.pop(n) for n in list(s) if "h.0" in n], r"missing: .* and 8 more"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_does_not_fit_is_named(name: str, tmp_path: Path) -> None:
    change, message = FAULTS[name]
    state = gpt_state()
    change(state)
    write(tmp_path, CONFIG, state)
    with pytest.raises(CheckpointError, match=rf"{tmp_path.name} does not fit GPT: .*{message}"):
        models.GPT.from_pretrained(tmp_path)


def test_configurations_that_are_not_computed_are_refused(tmp_path: Path) -> None:
    for change, message in (
        ({"model_type": "opt"}, "model_type 'opt', GPTConfig reads 'gpt2'"),
        ({"activation_function": "relu"}, "activation_function is 'relu', which this model"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False"),
        ({"n_embd": None, "n_head": None}, "config.json lacks n_embd, n_head: it is not the whole"),
        ({"n_embd": "8"}, "n_embd is '8', GPTConfig needs a value of type int"),
        ({"n_layer": 10**9}, "n_layer is 1000000000, which no model has"),
        ({"n_head": 0}, "n_head is 0, which no model has"),
        ({"n_layer": True}, "n_layer is True, GPTConfig needs a value of type int"),
    ):
        write(tmp_path, CONFIG | change, gpt_state())
        with pytest.raises(CheckpointError, match=message):
            models.GPT.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json is no JSON"):
        models.GPT.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"config\.json holds no object"):
        models.GPT.from_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json: no such file"):
        models.GPT.from_pretrained(tmp_path)


def test_what_gpt_2s_files_hold_besides(tmp_path: Path) -> None:
    """Causal masks, and in some the output layer, which is the embedding; with and without the prefix."""
    state = gpt_state()
    write(tmp_path, CONFIG, state)
    x = tensor([[1, 2, 3]])
    want = models.GPT.from_pretrained(tmp_path)(x).data
    more = {
        "h.0.attn.bias": np.ones((1, 1, 8, 8), "f4"),
        "h.0.attn.masked_bias": np.array(-1e4, "f4"),
    }
    for prefix in ("", "transformer."):
        named = {prefix + n: a for n, a in (state | more).items()}
        write(tmp_path, CONFIG, named | {"lm_head.weight": state["wte.weight"]})
        np.testing.assert_array_equal(models.GPT.from_pretrained(tmp_path)(x).data, want)


def test_a_folder_with_pickles_alone(tmp_path: Path) -> None:
    write(tmp_path, CONFIG, {})
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin is a pickle, which runs code"):
        models.GPT.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "has no weight_map"),
        (
            {"weight_map": {"wte.weight": "../x.safetensors"}},
            r"names the file '\.\./x\.safetensors'",
        ),
        ({"weight_map": {"wte.weight": "x.bin"}}, r"only \.safetensors files beside it"),
        (
            {"weight_map": {"wte.weight": "part.safetensors"}},
            "wte.weight is in part.safetensors, which",
        ),
    ],
)
def test_an_index_that_lies(table: Any, message: str, tmp_path: Path) -> None:
    write(tmp_path, CONFIG, {"ln_f.bias": np.zeros(8, "f4")})
    (tmp_path / "model.safetensors").rename(tmp_path / "part.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(table))
    with pytest.raises(CheckpointError, match=message):
        models.GPT.from_pretrained(tmp_path)


def bert_state(kind: Any) -> dict[str, np.ndarray]:
    """The arrays of a BERT under the names of Google's first conversion."""
    state = kind(models.BertConfig.from_hub(BERT)).state_dict()
    old = {}
    for name, array in state.items():
        name = name.replace("attention.query", "attention.self.query")
        name = name.replace("attention.key", "attention.self.key")
        name = name.replace("attention.value", "attention.self.value")
        name = name.replace("attention.dense", "attention.output.dense")
        name = name.replace("attention.LayerNorm", "attention.output.LayerNorm")
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        old[name.replace("LayerNorm.bias", "LayerNorm.beta")] = array
    return old


def test_old_names_of_bert_and_heads_that_start_anew(tmp_path: Path) -> None:
    state = bert_state(models.BertForPreTraining)
    assert sum(name.endswith(("gamma", "beta")) for name in state) == 8
    state["bert.embeddings.position_ids"] = np.arange(8)[None]
    state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    write(tmp_path, BERT, state)
    x = tensor([[1, 2, 3]])
    words, _ = models.BertForPreTraining.from_pretrained(tmp_path)(x)
    masked = models.BertForMaskedLM.from_pretrained(tmp_path)(x)
    np.testing.assert_array_equal(words.data, masked.data)
    hidden = models.BertModel.from_pretrained(tmp_path)(x)
    with pytest.warns(
        UserWarning, match=r"has no classifier\.bias, classifier\.weight: they start"
    ):
        model = models.BertForSequenceClassification.from_pretrained(tmp_path)
    assert model(x).shape == (1, 2) and model.classifier.weight.data.std() > 0
    np.testing.assert_array_equal(model.bert(x).data, hidden.data)
    with pytest.warns(UserWarning, match="qa_outputs"):
        models.BertForQuestionAnswering.from_pretrained(tmp_path)
    bare = {n.removeprefix("bert."): a for n, a in state.items() if not n.startswith("cls")}
    write(tmp_path, BERT, bare)
    np.testing.assert_array_equal(models.BertModel.from_pretrained(tmp_path)(x).data, hidden.data)
    with pytest.raises(CheckpointError, match=r"does not fit BertForMaskedLM: missing: cls\."):
        models.BertForMaskedLM.from_pretrained(tmp_path)


def test_t5_with_an_output_layer_of_its_own_in_the_file_alone(tmp_path: Path) -> None:
    config = {
        "model_type": "t5", "vocab_size": 11, "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1,
        "num_heads": 2, "feed_forward_proj": "gated-gelu", "scale_decoder_outputs": False,
    }  # fmt: skip
    build = models.T5Config.from_hub({**config, "tie_word_embeddings": False})
    state = models.T5(build).state_dict()
    copies = {
        f"{side}.embed_tokens.weight": state["shared.weight"] for side in ("encoder", "decoder")
    }
    write(tmp_path, config | {"tie_word_embeddings": True}, state | copies)
    own = models.T5.from_pretrained(tmp_path)
    np.testing.assert_array_equal(own.lm_head.weight.data, state["lm_head.weight"])
    write(
        tmp_path,
        config | {"tie_word_embeddings": True},
        state | {"lm_head.weight": state["shared.weight"]},
    )
    assert models.T5.from_pretrained(tmp_path).config.tie_word_embeddings


MEASURE = """
import re, sys
from pathlib import Path
from lmbook import models, tensor
from lmbook.models.gpt import GPT
def status(name):
    return 1024 * int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
x = tensor([[1, 2, 3]])
models.GPT(models.GPTConfig(11, 8, 1, 2, 8))(x)  # what the libraries take
before = status("VmRSS")
model = GPT.from_pretrained(sys.argv[1])
loaded = status("VmHWM") - before
model(x)
print(loaded, status("VmHWM") - before)
"""


def memory(folder: Path) -> tuple[int, int]:
    """Bytes that a fresh process takes for loading a GPT-2, and with a forward pass."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder)], capture_output=True, text=True, check=True
    )
    loaded, used = map(int, done.stdout.split())
    return loaded, used


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("dtype", "vocab", "positions", "layers"), [("f4", 50257, 1024, 12), ("f2", 20000, 512, 4)]
)
def test_loading_takes_the_files_size_and_no_more(
    dtype: str, vocab: int, positions: int, layers: int, tmp_path: Path
) -> None:
    """GPT-2 124M, and a third of it in 16 bits: memory at most 1.2 times the float32 weights, used once."""
    sizes = {"vocab_size": vocab, "n_positions": positions, "n_layer": layers}
    config = CONFIG | sizes | {"n_embd": 768, "n_head": 12}
    with nn.shapes_only():
        shapes = models.GPT(models.GPTConfig.from_hub(config)).state_dict()
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    state = {
        f"transformer.{n}": np.full(a.shape[::-1] if n.endswith(turned) else a.shape, 0.01, dtype)
        for n, a in shapes.items()
    }
    write(tmp_path, config, state)
    size = sum(a.nbytes for a in shapes.values())
    limits = (0.1 if dtype == "f4" else 1.2, 1.2)  # float32 pages come when they are touched
    steps = ("after loading", "after a forward pass")
    for step, found, limit in zip(steps, memory(tmp_path), limits, strict=True):
        assert found < limit * size, step
        note("memory", models.GPT, dtype={"f4": "float32", "f2": "float16"}[dtype], layers=layers,
             step=step, weights=size, ratio=found / size, limit=limit)  # fmt: skip
