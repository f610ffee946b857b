"""wav2vec 2.0 against transformers: sizes, hidden states, losses and gradients, through safetensors files."""

import numpy as np
import pytest
import torch
import transformers
from proofs import Pair, close, sized
from safetensors.numpy import save_file

import lmbook
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.backend import ShapeError
from lmbook.models.wav2vec2 import (
    Quantizer,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
    gumbel_softmax,
    sample_negatives,
    span_mask,
)
from lmbook.nn.init import shapes_only
from lmbook.training import load_tensors

SMALL = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40,
    "conv_dim": (12, 10, 14), "conv_kernel": (10, 3, 2), "conv_stride": (5, 2, 2),
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 6, "num_codevector_groups": 2, "codevector_dim": 8,
    "proj_codevector_dim": 10, "num_negatives": 4, "vocab_size": 11,
}  # fmt: skip
KINDS = {
    "base": {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False},
    "large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
}
OFF = dict.fromkeys(
    ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "layerdrop",
     "final_dropout", "feat_quantizer_dropout"), 0.0,
)  # fmt: skip


def proof(kind, ours=Wav2Vec2Model):
    name = f"wav2vec 2.0, {kind}"
    return Pair(name, ours, f"transformers {ours.__name__}", "wav2vec2 on the Hub")


def both(kind, tmp_path, ours=Wav2Vec2Model, theirs="Wav2Vec2Model"):
    """The two models with the reference's random weights, read by ours from its safetensors file."""
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(**SMALL, **KINDS[kind], **OFF, apply_spec_augment=False)
    reference = getattr(transformers, theirs)(config).eval()
    with torch.no_grad():
        for p in reference.parameters():  # norms and biases too, which start at one and zero
            p.add_(0.1 * torch.randn_like(p))
    path = tmp_path / "model.safetensors"
    save_file({k: v.numpy() for k, v in reference.state_dict().items()}, path)
    model = ours(Wav2Vec2Config(**SMALL, **KINDS[kind], dropout=0.0))
    model.load_state_dict(load_tensors(path)[0])
    return model.eval().double(), reference.double()


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_states_equal_transformers(kind, tmp_path, rng):
    model, reference = both(kind, tmp_path)
    x = rng.standard_normal((2, 400))
    want = reference(torch.tensor(x))
    hidden, features = model(Tensor(x))
    last = want.last_hidden_state.detach().numpy()
    close(proof(kind), "hidden states", hidden.data, last, 1e-9)
    close(proof(kind), "features", features.data, want.extract_features.detach().numpy(), 1e-9)
    single = model.float()(Tensor(x.astype(np.float32)))[0].data
    close(proof(kind), "hidden states", single, last, 1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_and_masks_equal_transformers(kind, tmp_path, rng):
    model, reference = both(kind, tmp_path)
    x, lengths = rng.standard_normal((3, 400)), np.array([400, 250, 333])
    inside = np.arange(400) < lengths[:, None]
    x *= inside
    moments = model.output_lengths(lengths)
    np.testing.assert_array_equal(
        moments, reference._get_feat_extract_output_lengths(torch.tensor(lengths)).numpy()
    )
    mask = span_mask((3, moments[0]), 0.2, 3, np.random.default_rng(0), moments)
    # transformers masks through its config's switch alone
    reference.config.apply_spec_augment = True
    want = reference(
        torch.tensor(x), attention_mask=torch.tensor(inside).long(), mask_time_indices=torch.tensor(mask)
    ).last_hidden_state.detach().numpy()  # fmt: skip
    got = model(Tensor(x), lengths, mask)[0].data
    for row, n in enumerate(moments):
        close(proof(kind), "hidden states, masked", got[row, :n], want[row, :n], 1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_pre_training_loss_and_gradients_equal_transformers(kind, tmp_path, rng):
    model, reference = both(
        kind, tmp_path, Wav2Vec2ForPreTraining, "Wav2Vec2ForPreTraining"
    )  # fmt: skip
    pair = proof(kind, Wav2Vec2ForPreTraining)
    x = rng.standard_normal((2, 400))
    t = int(model.wav2vec2.output_lengths(400))
    mask = span_mask((2, t), 0.2, 3, np.random.default_rng(0))
    negatives = sample_negatives(mask, 4, np.random.default_rng(0))
    reference.config.apply_spec_augment = True
    want = reference(
        torch.tensor(x), mask_time_indices=torch.tensor(mask),
        sampled_negative_indices=torch.tensor(negatives),
    )  # fmt: skip
    got = model(Tensor(x), mask, negatives)
    for ours, theirs in (
        (got.loss, want.loss), (got.contrastive, want.contrastive_loss),
        (got.diversity, want.diversity_loss),
    ):  # fmt: skip
        y = theirs.item()  # its cosines are float32
        close(pair, "loss and its two parts", ours.data, y, 1e-5, "|y|", abs(y))
    got.loss.backward()
    want.loss.backward()
    theirs = dict(reference.named_parameters())
    for name, p in model.named_parameters():
        g = theirs[name].grad
        mine = np.zeros(p.shape) if p.grad is None else p.grad.data
        other = np.zeros(p.shape) if g is None else g.numpy()
        unit = max(1.0, float(np.abs(other).max()))
        close(pair, "gradients", mine, other, 2e-5, "max(1, max |y|)", unit)


def test_ctc_head_and_loss_equal_transformers(tmp_path, rng):
    model, reference = both("large", tmp_path, Wav2Vec2ForCTC, "Wav2Vec2ForCTC")
    reference.config.ctc_loss_reduction = "mean"
    x, labels = rng.standard_normal((2, 400)), np.array([[1, 2, 2, 5], [3, 4, 7, 1]])
    want = reference(torch.tensor(x), labels=torch.tensor(labels))
    logits = model(Tensor(x))
    pair = proof("large", Wav2Vec2ForCTC)
    close(pair, "logits", logits.data, want.logits.detach().numpy(), 1e-9)
    steps = np.full(2, logits.shape[1])
    loss = F.ctc_loss(F.log_softmax(logits).transpose(0, 1), labels, steps, [4, 4])
    y = want.loss.item()  # theirs is computed in float32
    close(pair, "CTC loss", loss.data, y, 1e-5, "|y|", abs(y))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("ours", "theirs"), [
    (Wav2Vec2Model, "Wav2Vec2Model"), (Wav2Vec2ForPreTraining, "Wav2Vec2ForPreTraining"),
    (Wav2Vec2ForCTC, "Wav2Vec2ForCTC"),
])  # fmt: skip
def test_published_sizes(kind, ours, theirs):
    """Base about 95 million, large about 317 million, name by name and shape by shape transformers'."""
    config = Wav2Vec2Config() if kind == "base" else Wav2Vec2Config.large()
    with shapes_only():
        model = ours(config)
    names = {k: v for k, v in vars(config).items() if k != "dropout"}
    with torch.device("meta"):
        reference = getattr(transformers, theirs)(transformers.Wav2Vec2Config(**names))
    shapes = {k: tuple(v.shape) for k, v in reference.named_parameters()}
    assert {k: v.shape for k, v in model.named_parameters()} == shapes
    name, count = f"{kind}, {ours.__name__.removeprefix('Wav2Vec2')}", model.num_parameters()
    total = sum(p.numel() for p in reference.parameters())
    sized(name, ours, count, total, f"transformers {theirs}")
    sized(name, ours, count, 95e6 if kind == "base" else 317e6, "baevski2020", within=0.01)


def test_a_moment_sees_400_samples_and_stands_every_320(rng):
    model = Wav2Vec2Model.__new__(Wav2Vec2Model)
    object.__setattr__(model, "config", Wav2Vec2Config())
    np.testing.assert_array_equal(
        Wav2Vec2Model.output_lengths(model, [399, 400, 719, 720]), [0, 1, 1, 2]
    )
    small = Wav2Vec2Model(Wav2Vec2Config(**SMALL, **KINDS["large"])).double()
    x = Tensor(rng.standard_normal((1, 200)), requires_grad=True)
    (small.feature_extractor(x)[0, :, 2] * rng.standard_normal(14)).sum().backward()
    seen = np.flatnonzero(x.grad.data[0])
    assert (seen[0], seen[-1]) == (2 * 20, 2 * 20 + 30 - 1)  # 10 + 2 * 5 + 1 * 10
    with pytest.raises(ShapeError, match="30 samples or more"):
        small(Tensor(np.zeros((1, 29))))


def test_span_masks():
    mask = span_mask((200, 750), generator=np.random.default_rng(0))
    assert mask.mean() == pytest.approx(0.49, abs=0.01)  # the paper's figure
    runs = np.diff(np.flatnonzero(np.diff(np.pad(mask, ((0, 0), (1, 1))).reshape(-1).astype(int))))[
        ::2
    ]
    assert runs.min() == 10 and runs.mean() == pytest.approx(14.7, abs=0.4)  # section 4.2
    short = span_mask((2, 50), 0.1, 5, np.random.default_rng(0), [50, 20])
    assert not short[1, 20:].any() and short.any(axis=1).all()
    with pytest.raises(ShapeError, match="row 0 has 4 moments, a span takes 10"):
        span_mask((1, 4))


def test_negatives_are_other_masked_moments_of_the_row():
    mask = span_mask((4, 60), 0.1, 5, np.random.default_rng(0))
    negatives = sample_negatives(mask, 20, np.random.default_rng(0))
    for row, t in zip(*np.nonzero(mask)):
        assert mask.reshape(-1)[negatives[row, t]].all()
        assert (negatives[row, t] // 60 == row).all() and (negatives[row, t] != row * 60 + t).all()
    with pytest.raises(ShapeError, match="row 0 has 1 masked moments"):
        sample_negatives(np.eye(1, 5, dtype=bool), 3)


def test_gumbel_draws_follow_the_softmax_and_pass_its_gradient(rng):
    logits = Tensor(np.log(np.tile([0.1, 0.6, 0.3], (20_000, 1))), requires_grad=True)
    draw = gumbel_softmax(logits, 0.7, np.random.default_rng(0))
    assert set(np.unique(draw.data.round(6))) == {0, 1}
    np.testing.assert_allclose(draw.data.mean(axis=0), [0.1, 0.6, 0.3], atol=0.015)
    few = Tensor(rng.standard_normal((4, 3)), requires_grad=True)
    g = rng.standard_normal((4, 3))
    gumbel_softmax(few, 0.7, np.random.default_rng(1)).backward(g)
    noise = np.random.default_rng(1).gumbel(size=(4, 3))
    other = torch.tensor(few.data, requires_grad=True)
    ((other + torch.tensor(noise)) / 0.7).softmax(-1).backward(torch.tensor(g))
    np.testing.assert_allclose(few.grad.data, other.grad.numpy(), atol=1e-12)


def test_perplexity_is_one_a_group_or_all_codes():
    quantizer = Quantizer(Wav2Vec2Config(**SMALL)).double().eval()
    features = Tensor(np.zeros((1, 5, 14)))
    assert quantizer(features)[1].item() == pytest.approx(
        2, rel=1e-5
    )  # one code in each of 2 groups
    quantizer.train()
    lmbook.nn.init.zeros_(quantizer.weight_proj.weight)
    assert quantizer(features)[1].item() == pytest.approx(12, rel=1e-5)  # 2 groups of 6, all alike
    with pytest.raises(ShapeError, match="does not divide into 2 groups"):
        Quantizer(Wav2Vec2Config(**{**SMALL, "codevector_dim": 7}))


def test_bad_checkpoints_are_named(tmp_path):
    model, reference = both("base", tmp_path)
    state = {k: v.numpy() for k, v in reference.state_dict().items()}
    short = {k: v for k, v in state.items() if k != "masked_spec_embed"}
    with pytest.raises(KeyError, match="masked_spec_embed"):
        model.load_state_dict(short)
    with pytest.raises(ShapeError, match=r"masked_spec_embed has shape \(3,\)"):
        model.load_state_dict(short | {"masked_spec_embed": np.zeros(3)})
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="damaged"):
        load_tensors(path)
    with pytest.raises(ShapeError, match="mask"):
        model(Tensor(np.zeros((1, 400))), mask=np.zeros((1, 3), bool))
