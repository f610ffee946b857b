"""Folders of wav2vec 2.0 as transformers saves them: the same logits; what does not fit is refused."""

import json
import warnings

import numpy as np
import pytest
import torch
import transformers
from proofs import Pair, close
from safetensors.numpy import load_file, save_file
from test_wav2vec2 import KINDS, OFF, SMALL

from lmbook.autograd import Tensor
from lmbook.backend import CheckpointError
from lmbook.models import Wav2Vec2ForCTC, Wav2Vec2ForPreTraining, Wav2Vec2Model


def published(folder, architecture="Wav2Vec2ForCTC", kind="base", **changes):
    """A random reference saved by transformers itself: config.json and model.safetensors."""
    torch.manual_seed(1)
    config = transformers.Wav2Vec2Config(**{**SMALL, **KINDS[kind], **OFF, **changes})
    reference = getattr(transformers, architecture)(config).eval()
    with torch.no_grad():
        for p in reference.parameters():
            p.add_(0.1 * torch.randn_like(p))
    reference.save_pretrained(folder)
    return reference


def change(folder, edit, **config):
    """Rewrite the arrays of a folder, and keys of its configuration."""
    path, described = folder / "model.safetensors", json.loads((folder / "config.json").read_text())
    state = load_file(path)
    edit(state)
    save_file(state, path)
    (folder / "config.json").write_text(json.dumps(described | config))


def old_names(state):
    """As PyTorch's first weight_norm called them, which is how the published files have them."""
    conv = "encoder.pos_conv_embed.conv"
    for name in [name for name in state if f"{conv}.parametrizations" in name]:
        part = {"original0": "weight_g", "original1": "weight_v"}[name.rpartition(".")[2]]
        state[name.replace("parametrizations.weight." + name.rpartition(".")[2], part)] = state.pop(
            name
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("older", [False, True])
def test_a_published_folder_gives_the_same_letters(kind, older, tmp_path, rng):
    reference = published(tmp_path, kind=kind)
    if older:
        change(tmp_path, old_names)
        assert sum("weight_g" in name for name in load_file(tmp_path / "model.safetensors")) == 1
    model = Wav2Vec2ForCTC.from_pretrained(tmp_path)
    assert not model.training and model.config.conv_dim == SMALL["conv_dim"]
    x = rng.standard_normal((2, 400)).astype(np.float32)
    want = reference(torch.tensor(x)).logits.detach().numpy()
    names = "wav2vec2 on the Hub, weight_g and weight_v" if older else "wav2vec2 on the Hub"
    pair = Pair(
        f"wav2vec 2.0, {kind}, {'older' if older else 'newer'} file", Wav2Vec2ForCTC,
        "transformers Wav2Vec2ForCTC", names,
    )  # fmt: skip
    close(pair, "logits", model(Tensor(x)).data, want, 1e-5)
    double = Wav2Vec2ForCTC.from_pretrained(tmp_path, dtype=np.float64)
    want = reference.double()(torch.tensor(x).double()).logits.detach().numpy()
    close(pair, "logits", double(Tensor(x.astype(float))).data, want, 1e-10)


def test_one_file_for_the_three_kinds_of_model(tmp_path, rng):
    """From pre-training the body goes into the others; a head that is not there starts anew, or is missed."""
    reference = published(tmp_path / "pre", "Wav2Vec2ForPreTraining")
    x = rng.standard_normal((1, 400)).astype(np.float32)
    want = reference.wav2vec2(torch.tensor(x)).last_hidden_state.detach().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pre = Wav2Vec2ForPreTraining.from_pretrained(tmp_path / "pre")
        body = Wav2Vec2Model.from_pretrained(tmp_path / "pre")
    with pytest.warns(UserWarning, match=r"has no lm_head\.bias, lm_head\.weight: they start anew"):
        ctc = Wav2Vec2ForCTC.from_pretrained(tmp_path / "pre")
    for found in (pre.wav2vec2, body, ctc.wav2vec2):
        np.testing.assert_allclose(found(Tensor(x))[0].data, want, atol=1e-5)
    np.testing.assert_array_equal(pre.project_q.weight.data, reference.project_q.weight.detach())
    bare = published(tmp_path / "bare", "Wav2Vec2Model")
    with pytest.warns(UserWarning, match="lm_head"):
        ctc = Wav2Vec2ForCTC.from_pretrained(tmp_path / "bare")
    want = bare(torch.tensor(x)).last_hidden_state.detach().numpy()
    np.testing.assert_allclose(ctc.wav2vec2(Tensor(x))[0].data, want, atol=1e-5)
    with pytest.raises(
        CheckpointError, match=r"Wav2Vec2ForPreTraining: missing: project_hid\.bias"
    ):
        Wav2Vec2ForPreTraining.from_pretrained(tmp_path / "bare")


def test_the_vector_of_masks_may_be_missing(tmp_path, rng):
    """As in facebook/wav2vec2-base-960h: it is used in training alone, so logits are the same."""
    reference = published(tmp_path)
    change(tmp_path, lambda state: state.pop("wav2vec2.masked_spec_embed"))
    with pytest.warns(UserWarning, match="has no wav2vec2.masked_spec_embed: they start anew"):
        model = Wav2Vec2ForCTC.from_pretrained(tmp_path)
    x = rng.standard_normal((1, 400)).astype(np.float32)
    want = reference(torch.tensor(x)).logits.detach().numpy()
    np.testing.assert_allclose(model(Tensor(x)).data, want, atol=1e-5)
    assert 0 < model.wav2vec2.masked_spec_embed.data.std() < 1


@pytest.mark.parametrize(("edit", "config", "message"), [
    (lambda s: s.pop("lm_head.weight"), {"hidden_act": "relu"}, "hidden_act is 'relu', which this"),
    (None, {"model_type": "hubert"}, "model_type 'hubert', Wav2Vec2Config reads 'wav2vec2'"),
    (None, {"add_adapter": True}, "add_adapter is True, which this model does not compute"),
    (None, {"adapter_attn_dim": 16}, "adapter_attn_dim is 16"),
    (None, {"feat_extract_norm": "batch"}, "feat_extract_norm is 'batch'"),
    (None, {"conv_stride": None}, "config.json lacks conv_stride"),
    (None, {"conv_kernel": 3}, "conv_kernel is 3, Wav2Vec2Config needs a list of positive integers"),
    (None, {"conv_stride": [5, -2, 2]}, r"conv_stride is \[5, -2, 2\], Wav2Vec2Config needs a list"),
    (None, {"conv_kernel": [10, 3]}, "conv_kernel has 2 layers, conv_dim 3"),
    (None, {"conv_dim": [], "conv_kernel": []}, "conv_dim has 0 layers"),
    (None, {"num_attention_heads": 5}, "hidden_size 24 does not divide into num_attention_heads 5"),
    (None, {"num_codevector_groups": 0}, "codevector_dim 8 does not divide into num_codevector_groups 0"),
    (None, {"intermediate_size": 48}, r"of another shape: .*intermediate_dense\.bias \(40,\), here \(48,\)"),
    (None, {"num_hidden_layers": 3}, r"missing: wav2vec2\.encoder\.layers\.2\..* and 12 more"),
    (lambda s: s.pop("wav2vec2.encoder.layer_norm.bias"), {}, r"missing: wav2vec2\.encoder\.layer_norm"),
    (lambda s: s.update(adapter=np.zeros(3, "f4")), {}, "unknown: adapter"),
    (lambda s: s.update({"lm_head.bias": np.zeros(11, "i4")}), {}, r"of another type: lm_head\.bias int32"),
    (
        lambda s: s.update({"wav2vec2.encoder.pos_conv_embed.conv.weight_g": np.ones((1, 1, 8), "f4")}), {},
        r"given twice: wav2vec2\.encoder\.pos_conv_embed\.conv\.parametrizations\.weight\.original0",
    ),
])  # fmt: skip
def test_folders_that_do_not_fit_are_refused(edit, config, message, tmp_path):
    published(tmp_path)
    change(tmp_path, edit or (lambda state: None), **config)
    with pytest.raises(CheckpointError, match=message):
        Wav2Vec2ForCTC.from_pretrained(tmp_path)


def test_damaged_folders_are_refused(tmp_path):
    published(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CheckpointError, match=r"model\.safetensors.*truncated"):
        Wav2Vec2ForCTC.from_pretrained(tmp_path)
    path.rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin is a pickle, which runs code"):
        Wav2Vec2ForCTC.from_pretrained(tmp_path)
