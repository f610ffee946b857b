"""CTC against PyTorch, against the sum over every path, and against finite differences."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor, gradcheck
from lmbook.backend import DTypeError, IndexRangeError, ShapeError
from tests.parity import parity

BATCHES = {
    # T, C, target lengths, input lengths, blank
    "plain": (7, 4, [3, 2], [7, 7], 0),
    "lengths differ": (9, 5, [2, 4, 0, 1], [9, 8, 5, 1], 0),
    "blank last": (8, 4, [3, 3], [8, 6], 3),
    "one symbol": (5, 2, [2, 1], [5, 4], 0),
    "long": (60, 12, [20, 7, 13], [60, 31, 50], 2),
    "too short": (6, 4, [3, 5, 2], [6, 4, 1], 0),
    "no moments": (3, 3, [0, 1], [0, 0], 1),
}


def draw(rng, name):
    t, c, lengths, steps, blank = BATCHES[name]
    logits = rng.standard_normal((t, len(steps), c))
    symbols = [s for s in range(c) if s != blank]
    targets = rng.choice(symbols, (len(steps), max([*lengths, 1])))
    return logits, targets, np.array(steps), np.array(lengths), blank


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kind", ["functional.ctc_loss", "nn.CTCLoss"])
def test_parity(kind, reduction):
    """Behind log_softmax, in both types, on both backends, in every layout."""
    targets = np.array([[1, 2, 2], [3, 1, 0]])
    lengths = np.array([7, 5]), np.array([3, 2])
    ours = partial(F.ctc_loss, reduction=reduction)
    theirs = partial(TF.ctc_loss, reduction=reduction)
    if kind == "nn.CTCLoss":
        ours, theirs = nn.CTCLoss(reduction=reduction), torch.nn.CTCLoss(reduction=reduction)
    given = [torch.tensor(a) for a in (targets, *lengths)]
    parity(
        kind if reduction == "mean" else f"{kind}, {reduction}",
        lambda x: ours(F.log_softmax(x), targets, *lengths),
        lambda x: theirs(x.log_softmax(-1), *given),
        [(7, 2, 4)],
        [(9, 2, 5)],
    )


def collapse(path, blank):
    return [a for a, _ in itertools.groupby(path) if a != blank]


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("name", BATCHES)
def test_loss_and_gradient_equal_torch(rng, name, zero_infinity, reduction):
    logits, targets, steps, lengths, blank = draw(rng, name)
    options = {"blank": blank, "reduction": reduction, "zero_infinity": zero_infinity}
    x, y = Tensor(logits, requires_grad=True), torch.tensor(logits, requires_grad=True)
    ours = F.ctc_loss(F.log_softmax(x), targets, steps, lengths, **options)
    theirs = TF.ctc_loss(
        y.log_softmax(-1), *map(torch.tensor, (targets, steps, lengths)), **options
    )
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-10, atol=1e-10)
    finite = np.isfinite(theirs.detach().numpy()).all()
    if finite:  # PyTorch's gradient of an infinite loss is NaN, ours 0
        g = rng.standard_normal(ours.shape)
        ours.backward(g)
        theirs.backward(torch.tensor(g))
        np.testing.assert_allclose(x.grad.data, y.grad.numpy(), atol=1e-10)


def test_some_cases_are_impossible(rng):
    assert np.isinf(F.ctc_loss(*map_case(rng, "too short"), reduction="none").data).any()


def map_case(rng, name):
    logits, targets, steps, lengths, _ = draw(rng, name)
    return F.log_softmax(Tensor(logits)), targets, steps, lengths


def test_joined_targets_and_one_sequence(rng):
    logits, targets, steps, lengths, _ = draw(rng, "lengths differ")
    p = F.log_softmax(Tensor(logits))
    padded = F.ctc_loss(p, targets, steps, lengths, reduction="none").data
    joined = np.concatenate([row[:n] for row, n in zip(targets, lengths)])
    np.testing.assert_array_equal(
        F.ctc_loss(p, joined, steps, lengths, reduction="none").data, padded
    )
    for i in range(4):
        alone = F.ctc_loss(p[:, i], targets[i], int(steps[i]), int(lengths[i]), reduction="none")
        assert alone.shape == () and alone.item() == pytest.approx(padded[i])


@pytest.mark.parametrize("t", [1, 3, 5])
@pytest.mark.parametrize("target", [[], [1], [1, 1], [1, 2], [2, 1, 2], [1, 1, 1]])
def test_the_loss_is_minus_log_of_the_sum_over_all_paths(rng, t, target):
    x = rng.standard_normal((t, 3))
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    total, share = 0.0, np.zeros((t, 3))
    for path in itertools.product(range(3), repeat=t):
        if collapse(path, 0) == target:
            weight = np.prod(p[np.arange(t), path])
            total += weight
            share[np.arange(t), path] += weight
    q = Tensor(np.log(p), requires_grad=True)
    loss = F.ctc_loss(q, np.array(target, int), t, len(target), reduction="sum")
    if total == 0:
        assert np.isinf(loss.item())
        return
    assert loss.item() == pytest.approx(-np.log(total), abs=1e-12)
    loss.backward()
    np.testing.assert_allclose(q.grad.data, -share / total, atol=1e-12)


@pytest.mark.parametrize("name", ["plain", "lengths differ", "blank last", "long"])
def test_finite_differences(rng, name):
    logits, targets, steps, lengths, blank = draw(rng, name)
    options = {"blank": blank, "reduction": "none"}
    free = Tensor(logits, requires_grad=True)  # not normalised: the formula's gradient all the same
    assert gradcheck(lambda x: F.ctc_loss(x, targets, steps, lengths, **options), free)


def test_all_texts_have_probability_one():
    """Over every text that 4 moments can hold, the probabilities sum to one."""
    rng = np.random.default_rng(0)
    p = F.log_softmax(Tensor(rng.standard_normal((4, 3))))
    texts = {tuple(collapse(path, 0)) for path in itertools.product(range(3), repeat=4)}
    losses = [F.ctc_loss(p, np.array(s, int), 4, len(s), reduction="sum").item() for s in texts]
    assert np.exp(-np.array(losses)).sum() == pytest.approx(1)


def test_thousands_of_moments_do_not_underflow():
    p = F.log_softmax(Tensor(np.zeros((3000, 1, 30))))
    loss = F.ctc_loss(p, np.ones((1, 400), int), [3000], [400], reduction="sum").item()
    want = TF.ctc_loss(torch.tensor(p.data), torch.ones(1, 400, dtype=int), [3000], [400],
                       reduction="sum").item()  # fmt: skip
    assert np.isfinite(loss) and loss == pytest.approx(want)


def test_float32_and_the_module(rng):
    logits, targets, steps, lengths, _ = draw(rng, "plain")
    p = F.log_softmax(Tensor(logits.astype(np.float32)))
    loss = nn.CTCLoss(reduction="sum")(p, targets, steps, lengths)
    assert loss.dtype == np.float32
    exact = F.ctc_loss(F.log_softmax(Tensor(logits)), targets, steps, lengths, reduction="sum")
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"blank": 4}, IndexRangeError, r"blank = 4, the symbols are 0 to 3"),
        ({"targets": [[0, 1, 1], [1, 1, 1]]}, IndexRangeError, "other than the blank, 0"),
        ({"targets": [[4, 1, 1], [1, 1, 1]]}, IndexRangeError, "targets run from 1 to 4"),
        ({"targets": [[1.5, 1, 1], [1, 1, 1]]}, DTypeError, "targets must be integers"),
        ({"targets": [[1, 1], [1, 1]]}, ShapeError, r"targets \(2, 2\) for 2 sequences of up to 3"),
        ({"targets": [1, 1]}, ShapeError, "that sum to 5"),
        ({"input_lengths": [7, 8]}, ShapeError, "an input length is 8, .* has 7 moments"),
        ({"input_lengths": [7]}, ShapeError, "input_lengths must be 2 whole numbers"),
        ({"target_lengths": [3, -1]}, ShapeError, "target_lengths must be 2 whole numbers"),
        ({"log_probs": np.zeros(3)}, ShapeError, r"log_probs \(3,\)"),
        ({"reduction": "max"}, ValueError, "none of 'mean', 'sum', 'none'"),
    ],
)
def test_bad_input_is_named(rng, change, error, says):
    logits, targets, steps, lengths, _ = draw(rng, "plain")
    given = {
        "log_probs": logits, "targets": targets, "input_lengths": steps, "target_lengths": lengths
    } | change  # fmt: skip
    given["log_probs"] = Tensor(given["log_probs"])
    given["targets"] = np.array(given["targets"])
    with pytest.raises(error, match=says):
        F.ctc_loss(**given)
