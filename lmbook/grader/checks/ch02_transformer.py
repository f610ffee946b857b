"""Exercises of section 2.2.4, the Transformer."""

import numpy as np

from lmbook import nn
from lmbook.autograd import tensor
from lmbook.grader import Exercise, expect, expect_that, ordering, predict
from lmbook.models import KVCache


def turn(x, offset=0, base=10000.0):  # type: ignore[no-untyped-def]
    """The reference: pairs as complex numbers, multiplied by exp(i angle)."""
    length, width = x.shape[-2:]
    angle = (offset + np.arange(length))[:, None] * base ** (-np.arange(0, width, 2) / width)
    pairs = (x[..., : width // 2] + 1j * x[..., width // 2 :]) * np.exp(1j * angle)
    return np.concatenate([pairs.real, pairs.imag], axis=-1)


rotary = Exercise("2.2.4-a", title="Rotary positions", kind="implement", points=3, needs=["rotary"])


@rotary.test("position 0 is not turned", "What is the angle at position 0?")
def origin(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(1, 6))
    expect(ns.rotary(x), x, of="rotary(x) for one position")


@rotary.test(
    "one pair by one radian",
    "The first row stands at position `offset`: by how much, and which way, is (1, 0) turned there?",
)
def quarter(ns, rng):  # type: ignore[no-untyped-def]
    x = np.array([[1.0, 0.0]])
    expect(ns.rotary(x, 1), [[np.cos(1), np.sin(1)]], of="rotary([[1, 0]], offset=1)")


@rotary.hidden("lengths stay, whatever the position", "A turn changes no length.")
def lengths(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(7, 8))
    got = np.linalg.norm(ns.rotary(x, 3), axis=-1)
    expect(got, np.linalg.norm(x, axis=-1), of="the lengths of the rows of rotary(x, 3)")


@rotary.hidden(
    "random vectors, in batches and heads",
    "Which features form a pair, and how fast does each turn?",
)
def batches(ns, rng):  # type: ignore[no-untyped-def]
    x, offset = rng.normal(size=(2, 3, 5, 8)), int(rng.integers(1, 50))
    expect(ns.rotary(x, offset), turn(x, offset), of=f"rotary(x, {offset})")


@rotary.hidden("another base", "If nothing else fails: where does `base` enter the angle?")
def based(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(6, 12))
    expect(ns.rotary(x, 2, 500.0), turn(x, 2, 500.0), of="rotary(x, 2, base=500.0)")


road = Exercise(
    "2.2.4-b", title="A road with tolls", kind="debug", points=2, needs=["transformer_block"]
)


def _layer(rng, silent=False):  # type: ignore[no-untyped-def]
    """A layer with random weights; a silent one's attention and feed-forward network give zero."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=True).double()
    for name, p in layer.named_parameters():
        last = name.startswith(("linear2", "self_attn.out_proj"))
        p.data[:] = 0 if silent and last else 0.4 * rng.normal(size=p.shape)
    return layer


@road.test(
    "a block whose two steps give zero changes nothing",
    "Follow x itself from the input to the sum.",
)
def free(ns, rng):  # type: ignore[no-untyped-def]
    layer, x = _layer(rng, silent=True), rng.normal(size=(2, 5, 8))
    got = ns.transformer_block(tensor(x), layer)
    expect(got, x, of="the block without its steps", rtol=1e-9)


@road.hidden(
    "any weights: as nn.TransformerEncoderLayer",
    "What does each step read, x or its norm, and which norm? Attention has three inputs.",
)
def layer(ns, rng):  # type: ignore[no-untyped-def]
    layer, x = _layer(rng), tensor(rng.normal(size=(2, 5, 8)))
    expect(ns.transformer_block(x, layer), layer(x), of="transformer_block(x, layer)", rtol=1e-9)


@road.hidden(
    "32 blocks pass the gradient on", "How many norms stand on the road from top to bottom?"
)
def deep(ns, rng):  # type: ignore[no-untyped-def]
    layers = [_layer(rng, silent=True) for _ in range(32)]
    x = tensor(rng.normal(size=(1, 4, 8)), requires_grad=True)
    y = x
    for layer in layers:
        y = ns.transformer_block(y, layer)
    sent = rng.normal(size=y.shape)
    (y * sent).sum().backward()
    expect_that(x.grad is not None, "no gradient reaches the input: stay with Tensors")
    expect(x.grad, sent, of="the gradient below 32 silent blocks", rtol=1e-9)


def _cache_bytes(key_heads: int = 8) -> int:
    one = KVCache(layers=1, batch=1, heads=key_heads, length=1, width=128)
    numbers = one.keys.size + one.values.size
    return 32 * 8192 * numbers * 2


predict(
    "2.2.4-c",
    title="What a long conversation keeps",
    points=1,
    name="cache_bytes",
    answer=_cache_bytes,
    hint="What is kept for one position in one layer, and for how many of them?",
    mistakes={
        "that is a cache for every query head": lambda: _cache_bytes(32),
        "keys or values, or the two bytes of a number, are missing": lambda: _cache_bytes() / 2,
        "that is one layer": lambda: _cache_bytes() / 32,
        "a number takes two bytes here": lambda: _cache_bytes() * 2,
        "that is in MiB; the question asks for bytes": lambda: _cache_bytes() / 2**20,
    },
)

ordering(
    "2.2.4-d",
    title="Only the distance counts",
    points=2,
    name="proof",
    steps={"D": "", "B": "", "F": "DB", "A": "", "G": "FA"},
    wrong={
        "C": "turning twice adds the angles; it does not multiply the positions",
        "E": "a turn and the turn back differ, unless the angle is 0 or 180 degrees",
    },
    hint="Move both turns to one side of the product before you join them.",
)
