"""Decoding against brute force, the acoustic model's independence of padding, and error rates."""

import itertools

import numpy as np
import pytest
import torch
from proofs import Pair, close

import lmbook
from lmbook import functional as F
from lmbook.autograd import Tensor, gradcheck
from lmbook.backend import ShapeError
from lmbook.models.ctc import (
    AcousticConfig,
    AcousticModel,
    LinearRecogniser,
    beam_decode,
    collapse,
    greedy_decode,
)
from lmbook.training.metrics import (
    character_error_rate,
    edit_distance,
    word_error_rate,
    word_error_rate_interval,
)
from tests.parity import as_function


def log_probs(rng, t, c):
    x = rng.standard_normal((t, c))
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def every_text(p, blank):
    """Probability of each text, by adding up all paths."""
    total = {}
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        text = tuple(collapse(path, blank))
        total[text] = total.get(text, 0.0) + np.exp(p[np.arange(len(p)), path].sum())
    return total


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_is_exact(seed):
    rng = np.random.default_rng(seed)
    p, blank = log_probs(rng, 5, 3), seed % 3
    want = sorted(every_text(p, blank).items(), key=lambda item: -item[1])
    found = beam_decode(p, 10_000, blank)
    assert len(found) == len(want)
    for (text, score), (other, probability) in zip(found, want):
        assert score == pytest.approx(np.log(probability))
        assert tuple(text) == other
        loss = F.ctc_loss(Tensor(p), np.array(text, int), 5, len(text), blank, "sum").item()
        assert score == pytest.approx(-loss)


def test_the_likeliest_path_is_not_the_likeliest_text():
    """Two moments, blank 0.6, a 0.4: the path says nothing, the text is a."""
    p = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))
    assert greedy_decode(p[:, None], [2]) == [[]]
    (text, score), *_ = beam_decode(p)
    assert text == [1] and np.exp(score) == pytest.approx(0.64)
    assert beam_decode(p, 1)[0][0] == []  # too narrow to hold both prefixes


def test_repeats_need_a_blank():
    assert collapse([1, 1, 0, 1, 2, 2, 0]) == [1, 1, 2]
    sure = np.log(np.eye(3)[[1, 1, 0, 1, 2]] * 0.98 + 0.01)
    assert greedy_decode(sure[:, None], [5]) == [[1, 1, 2]] == [beam_decode(sure)[0][0]]
    assert greedy_decode(sure[:, None], [2]) == [[1]]
    with pytest.raises(ValueError, match="width = 0"):
        beam_decode(sure, 0)


def test_a_language_model_changes_the_choice(rng):
    p = log_probs(rng, 6, 3)
    never = beam_decode(p, 100, language=lambda prefix, s: -50.0 if s == 2 else 0.0)
    assert 2 not in never[0][0]
    lost = [b for b in beam_decode(p, 100) if 2 not in b[0]]
    assert never[0][1] == pytest.approx(lost[0][1], abs=1e-6)


@pytest.mark.parametrize("kind", [AcousticModel, LinearRecogniser])
def test_company_changes_nothing(rng, kind):
    """Alone and padded among longer ones an utterance has the same output."""
    model = kind(AcousticConfig(5, 7, 8, 6)).double().eval()
    lengths = np.array([11, 20, 14])
    x = rng.standard_normal((3, 20, 5))  # noise behind the ends, too
    together = model(Tensor(x), lengths).data
    for i, n in enumerate(lengths):
        alone = model(Tensor(x[i : i + 1, :n]), lengths[i : i + 1]).data
        assert alone.shape[0] == model.output_lengths(n)
        np.testing.assert_allclose(together[: len(alone), i], alone[:, 0], atol=1e-12)


def test_acoustic_model_equals_torch(rng):
    """A bidirectional GRU of PyTorch over packed sequences, behind the same convolutions."""
    model = AcousticModel(AcousticConfig(5, 7, 8, 6, dropout=0.0)).double()
    lengths = np.array([20, 14, 11])
    x = rng.standard_normal((3, 20, 5)) * (np.arange(20) < lengths[:, None])[:, :, None]
    t = {k: torch.tensor(v) for k, v in model.state_dict().items()}
    gru = torch.nn.GRU(8, 6, batch_first=True, bidirectional=True, dtype=torch.float64)
    gru.load_state_dict(
        {
            name + suffix: t[f"{way}.{name}"]
            for way, suffix in (("ahead", ""), ("back", "_reverse"))
            for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        }
    )
    conv = torch.nn.functional.conv1d
    y = torch.relu(conv(torch.tensor(x).mT, t["conv1.weight"], t["conv1.bias"], 2, 2)).mT
    steps = model.output_lengths(lengths)
    y = y * torch.tensor(np.arange(10) < steps[:, None])[:, :, None]
    y = torch.relu(conv(y.mT, t["conv2.weight"], t["conv2.bias"], 1, 2)).mT
    y = torch.nn.functional.layer_norm(y, (8,), t["norm.weight"], t["norm.bias"])
    packed = torch.nn.utils.rnn.pack_padded_sequence(y, torch.tensor(steps), batch_first=True)
    z, _ = torch.nn.utils.rnn.pad_packed_sequence(gru(packed)[0], batch_first=True)
    want = (z @ t["output.weight"].mT + t["output.bias"]).log_softmax(-1).transpose(0, 1)
    got = model(Tensor(x), lengths).data
    pair = Pair("CTC recogniser", AcousticModel, "torch layers with GRU")
    for i, n in enumerate(steps):
        close(pair, "log-probabilities", got[:n, i], want[:n, i].detach().numpy(), 1e-12)


def test_gradients_through_model_and_loss(rng):
    model = AcousticModel(AcousticConfig(3, 4, 4, 3, dropout=0.0)).double()
    x, lengths = lmbook.tensor(rng.standard_normal((2, 12, 3))), np.array([12, 9])
    function, _ = as_function(model)
    leaves = [Tensor(p.data.copy(), True) for p in model.parameters()]

    def loss(*ps):
        return F.ctc_loss(function(x, lengths, *ps), [[1, 2], [3, 3]], [6, 5], [2, 2])

    assert gradcheck(loss, leaves)


def test_edit_distance_by_hand_and_by_its_laws(rng):
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == edit_distance("abc", "") == 3
    for _ in range(20):
        a, b, c = (rng.integers(0, 3, rng.integers(0, 7)).tolist() for _ in range(3))
        assert edit_distance(a, b) == edit_distance(b, a) <= max(len(a), len(b))
        assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
        assert (edit_distance(a, b) == 0) == (a == b)


def test_error_rates():
    said, heard = ["one two", "three"], ["one too two", "tree"]
    assert word_error_rate(said, heard) == pytest.approx(2 / 3)
    assert character_error_rate(said, heard) == pytest.approx(5 / 12)
    value, low, high, _ = word_error_rate_interval(said * 20, heard * 20)
    assert value == pytest.approx(2 / 3) and low < value < high
    # ten copies of each utterance are no more evidence than one of them
    copies = word_error_rate_interval(said * 10, heard * 10, groups=[0, 1] * 10)
    assert copies == pytest.approx(word_error_rate_interval(said, heard))
    with pytest.raises(ShapeError, match=r"groups \(1,\) for 2 utterances"):
        word_error_rate_interval(said, heard, groups=[0])
    with pytest.raises(ShapeError, match="2 references and 1 transcripts"):
        word_error_rate(said, heard[:1])
    with pytest.raises(ValueError, match="all references are empty"):
        word_error_rate([""], ["a"])
