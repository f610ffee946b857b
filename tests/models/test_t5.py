"""T5's buckets, masks and its text, by themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from parity import as_function
from transformers.models.t5.modeling_t5 import T5Attention

from lmbook import manual_seed, models, tensor
from lmbook.autograd import gradcheck
from lmbook.models.t5 import buckets

SMALL = models.T5Config(20, 16, 4, 32, 2, num_heads=2, dropout_rate=0.0)


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(("count", "longest"), [(32, 128), (8, 20)])
def test_buckets_are_the_references(both: bool, count: int, longest: int) -> None:
    distance = np.arange(-300, 301)
    bucket = T5Attention._relative_position_bucket
    want = bucket(torch.tensor(distance), both, count, longest).numpy()
    got = buckets(distance, both, count, longest)
    np.testing.assert_array_equal(got, want)
    assert got.min() == 0 and got.max() == count - 1


def test_every_parameter_has_its_gradient_by_differences() -> None:
    manual_seed(0)
    model = models.T5(SMALL).double()
    source, target = tensor([[3, 4, 5, 0]]), tensor([[0, 7, 8]])
    mask = np.array([[1, 1, 1, 0]])
    weights = np.random.default_rng(0).standard_normal((1, 3, 20))
    function, names = as_function(model, attention_mask=mask)
    own = dict(model.named_parameters())
    gradcheck(lambda *p: (function(source, target, *p) * weights).sum(), [own[n] for n in names])
    assert any("relative_attention_bias" in n for n in names)


def test_padding_and_the_future_are_not_seen() -> None:
    manual_seed(0)
    model = models.T5(SMALL).eval()
    source, target = np.array([[5, 6, 7]]), np.array([[0, 8, 9]])
    padded, mask = np.array([[5, 6, 7, 3, 3]]), np.array([[1, 1, 1, 0, 0]])
    a = model(tensor(source), tensor(target)).data
    np.testing.assert_allclose(model(tensor(padded), tensor(target), mask).data, a, atol=1e-6)
    later = model(tensor(source), tensor(np.array([[0, 8, 3]]))).data
    np.testing.assert_allclose(later[:, :2], a[:, :2], atol=1e-6)
    assert np.abs(later - a).max() > 1e-4


def test_it_stops_row_by_row() -> None:
    manual_seed(1)
    model = models.T5(SMALL)
    source = np.random.default_rng(0).integers(2, 20, (40, 6))
    out = model.generate(source, 12, temperature=1.0, generator=np.random.default_rng(0))
    again = model.generate(
        source, 12, temperature=1.0, generator=np.random.default_rng(0), use_cache=False
    )
    np.testing.assert_array_equal(out, again)
    assert model.training and out.shape[1] <= 13 and (out[:, 0] == 0).all()
    ended = 0
    for row in out:
        stops = np.flatnonzero(row == model.config.eos_token_id)
        if len(stops):
            ended += 1
            assert (row[stops[0] + 1 :] == 0).all()
    assert 5 < ended < 40


def test_labels_become_the_decoders_input() -> None:
    shifted = models.T5(SMALL).shift_right(np.array([[4, 5, 1]]))
    np.testing.assert_array_equal(shifted, [[0, 4, 5]])
