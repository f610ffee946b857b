"""The table of what can be proven against one process, where the tests of each kind leave a gap."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lmbook import backend
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import run
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.parallel import buckets
from tests.parallel import test_data_parallel, test_expert, test_pipeline, test_sharded
from tests.parallel.every_size import SIZES, tensor_parallel
from tests.parallel.programs import adam, full_batch, network, state

EXACT = {np.float64: 4e-15, np.float32: 4e-6}
"""For weights after twenty steps of Adam, when only the order of addition differs."""


def test_every_kind_begins_with_different_weights_on_every_rank() -> None:
    """No program gives a seed, so what the ranks end with can only be equal if they made it so."""

    def fn(comm):
        weights = [state(network()), state(GPT(GPTConfig(13, 5, 1, 2, 4)))]
        weights.append(np.concatenate([state(m) for m in test_pipeline.layers(np.float64)]))
        weights.append(state(test_expert.nn.MixtureOfExperts(5, 7, 8, 2)))
        return weights

    for a, b in itertools.combinations(run(fn, max(SIZES)), 2):
        for x, y in zip(a, b):
            assert (x != y).mean() > 0.3  # biases and norms start at 0 and 1 on all


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ranks", SIZES)
def test_rings_and_logical_shards_are_near_the_full_batch_after_twenty_steps(ranks, dtype) -> None:
    want = full_batch(20, dtype)
    for got in (
        run(test_data_parallel.ddp, ranks, dtype)[-1][1],
        run(test_data_parallel.logical, ranks, dtype, 8, 20)[-1],
    ):
        np.testing.assert_allclose(got, want, rtol=0, atol=EXACT[dtype])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ranks", SIZES)
def test_zero_has_the_bits_of_the_ring_for_twenty_steps(ranks, dtype) -> None:
    want = test_sharded.oracle(ranks, lambda m: buckets(list(m.parameters()), 200), dtype, 20)
    ring = run(lambda c: test_data_parallel.ddp(c, dtype, bucket_bytes=200), ranks)
    runs = [[w for _, w in ring]]
    for stage in (1, 2):
        told = run(test_sharded.zero, ranks, stage, dtype, 200, 20, adam)
        runs.append([w for w, _ in told])
    for told in runs:
        for got in told:
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ranks", SIZES)
def test_tensor_parallel_gradients_for_as_many_heads_as_ranks(ranks, dtype) -> None:
    with backend.using(np.random.default_rng([0, 0])):
        model = GPT(GPTConfig(13, 5, 1, ranks, 2 * ranks)).to(dtype)
    x = np.random.default_rng(4).integers(0, 13, (2, 6))
    logits = model(Tensor(x[:, :-1])).reshape(-1, 13)
    F.cross_entropy(logits, Tensor(x[:, 1:].reshape(-1))).backward()
    tol = 2e-15 if dtype is np.float64 else 1e-6
    told = run(tensor_parallel, ranks, dtype)
    for name, p in model.named_parameters():
        want = p.grad.data
        for got in (told[0][name], told[-1][name]):
            np.testing.assert_allclose(got, want, rtol=0, atol=tol, err_msg=name)
