"""What a test says about an answer: expected and got, in words.

Values are brought to plain NumPy arrays first, so an answer cannot bring its own idea of equality.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_np_array, _isfinite, _abs, _max = np.array, np.isfinite, np.abs, np.max


class CheckFailed(AssertionError):
    """An answer does not do what it should; the message says how."""


class NotAnswered(CheckFailed):
    """The place of the answer is still empty."""


def shown(value: Any) -> str:
    """A value in a few words, the same on every machine: arrays to four digits, long ones by shape."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (str, bytes)):
        return repr(value) if len(value) <= 60 else repr(value[:57]) + "..."
    if value is None or value is Ellipsis:
        return {None: "None", Ellipsis: "..."}[value]
    try:
        a = array(value)
    except CheckFailed:
        return f"a {type(value).__name__}"
    if a.ndim == 0:
        value = a.item()
        whole = a.dtype.kind == "f" and abs(value) < 1e15 and value == int(value)
        return str(int(value)) if whole else f"{value:.6g}" if a.dtype.kind == "f" else str(value)
    if a.size > 12:
        return f"an array of shape {a.shape}"
    return np.array2string(a + 0, precision=4, suppress_small=True, separator=", ")


def array(value: Any, of: str = "the answer") -> np.ndarray:
    """A plain NumPy array with a copy of `value`: an array, a Tensor, a number or a list of them."""
    if value is Ellipsis:
        raise NotAnswered(f"{of} is still `...`")
    if value is None:
        raise CheckFailed(f"{of} is None; is a `return` missing?")
    if hasattr(value, "detach"):  # a tensor of lmbook or PyTorch
        value = value.detach()
    if hasattr(value, "numpy") and not isinstance(value, np.ndarray):
        value = value.numpy()
    try:
        a = _np_array(value, copy=True, subok=False)
    except Exception:
        a = None
    if a is None or a.dtype.kind not in "biufc":
        raise CheckFailed(f"{of} should be numbers; got a {type(value).__name__}")
    return a


def number(value: Any, of: str = "the answer") -> float:
    """One plain number."""
    a = array(value, of)
    if a.size != 1 or a.dtype.kind == "c":
        raise CheckFailed(f"{of} should be one number; got {shown(value)}")
    return float(a.reshape(()))


def expect_shape(got: Any, shape: tuple[int, ...], of: str) -> None:
    """The shape is right."""
    have = array(got, of).shape
    if have != tuple(shape):
        raise CheckFailed(f"{of} should have the shape {tuple(shape)}; got {have}")


def expect(got: Any, want: Any, of: str, rtol: float = 1e-6, atol: float = 1e-8) -> None:
    """Numbers agree in shape and to `atol + rtol * |want|`; `of` says what they are, e.g. 'f(0)'."""
    a, b = array(got, of), array(want)
    expect_shape(a, b.shape, of)
    if b.dtype.kind == "b" and a.dtype.kind != "b":
        raise CheckFailed(f"{of} should be True or False; got {shown(a)}")
    wide = complex if "c" in (a.dtype.kind, b.dtype.kind) else float
    whole = {a.dtype.kind, b.dtype.kind} <= {"i", "u"}  # to be shown as whole numbers
    told = (a, b) if whole else (a.astype(wide), b.astype(wide))
    a, b = a.astype(wide), b.astype(wide)
    odd = ~_isfinite(a) & ~((a == b) | ((a != a) & (b != b)))
    if odd.any():
        which = "NaN" if (a != a)[odd].any() else "infinite"
        raise CheckFailed(f"{of} should be {shown(b)}; got {which} values: {shown(a)}")
    with np.errstate(all="ignore"):
        error = np.where(_isfinite(a) & _isfinite(b), _abs(a - b), 0.0)
        bad = (error > atol + rtol * _abs(b)) | (_isfinite(a) != _isfinite(b))
    if not bad.any():
        return
    if a.size <= 12:
        raise CheckFailed(f"{of} should be about {shown(told[1])}; got {shown(told[0])}")
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    raise CheckFailed(
        f"{of}: {int(bad.sum())} of {a.size} values differ; at index {at} it should be about "
        f"{shown(b[at])}; got {shown(a[at])}"
    )


def expect_that(condition: Any, otherwise: str) -> None:
    """`condition` holds; `otherwise` is what the learner reads when it does not."""
    if condition is Ellipsis:
        raise NotAnswered("it is still `...`")
    if not builtins.bool(condition):
        raise CheckFailed(otherwise)


def expect_number(
    got: Any,
    want: float,
    of: str,
    slips: Mapping[Any, str] | None = None,
    rtol: float = 0.0,
    atol: float = 0.0,
) -> None:
    """One number, to `atol + rtol * |want|`, that a failure does not give away.

    `slips` maps the number that a known mistake gives to the remark that then helps.
    """
    value = number(got, of)
    if _abs(value - want) <= atol + rtol * _abs(want):
        return
    for slip, remark in (slips or {}).items():
        if _abs(value - slip) <= max(atol + rtol * _abs(slip), 1e-12 * _abs(slip)):
            raise CheckFailed(f"{of} is not right: {remark}")
    raise CheckFailed(f"{of} is not right")


def expect_error(
    call: Callable[[], Any], error: type[Exception], of: str, naming: tuple[str, ...] = ()
) -> None:
    """`call()` raises `error`, with every text of `naming` in its message."""
    try:
        got = call()
    except NotImplementedError:
        raise
    except error as raised:
        missing = [text for text in naming if text not in str(raised)]
        if missing:
            raise CheckFailed(
                f"{of}: the message of the {error.__name__} should name {', '.join(missing)}; "
                f"it says {str(raised)!r}"
            ) from None
        return
    except Exception as raised:
        raise CheckFailed(
            f"{of} should raise {error.__name__}, and raised {type(raised).__name__}: {raised}"
        ) from None
    raise CheckFailed(f"{of} should raise {error.__name__}, and returned {shown(got)}")


def expect_unchanged(call: Callable[..., Any], *inputs: np.ndarray, of: str) -> Any:
    """`call(*inputs)` leaves its inputs as they were; returns its result."""
    before = [x.copy() for x in inputs]
    result = call(*inputs)
    for i, (x, old) in enumerate(zip(inputs, before)):
        if not np.array_equal(x, old, equal_nan=True):
            raise CheckFailed(f"{of} changes its argument {i + 1} in place; it should not")
    return result


def expect_gradient(
    f: Callable[[np.ndarray], Any], gradient: Any, x: np.ndarray, of: str, rtol: float = 1e-4
) -> None:
    """`gradient` is that of the scalar function `f` at `x`, by central differences in float64."""
    x = np.asarray(x, dtype=np.float64)
    numeric = np.zeros_like(x)
    step = 1e-5
    for i in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        high[i] += step
        low[i] -= step
        numeric[i] = (number(f(high)) - number(f(low))) / (2 * step)
    expect(gradient, numeric, of, rtol=rtol, atol=rtol * max(1.0, float(_max(_abs(numeric)))))


def expect_for_all(
    holds: Callable[..., Any],
    draw: Callable[[np.random.Generator], tuple[Any, ...]],
    rng: np.random.Generator,
    claim: str,
    trials: int = 200,
) -> None:
    """`holds(*draw(rng))` for many draws; otherwise the failure shows the counterexample."""
    for _ in range(trials):
        case = draw(rng)
        if not builtins.bool(holds(*case)):
            example = ", ".join(shown(c) for c in case)
            raise CheckFailed(f"{claim} does not hold for {example}")


def avoid(function: Any, *names: str, why: str) -> None:
    """The function, and the learner's own helpers that it calls, use none of `names`.

    A name is what the code says after a dot or alone: 'convolve', 'torch', 'functional'.
    """
    todo, seen = [function], set()
    while todo:
        f = todo.pop()
        if isinstance(f, type):
            todo += [v for v in vars(f).values() if isinstance(v, (types.FunctionType, type))]
            continue
        f = getattr(f, "__func__", f)
        if not isinstance(f, types.FunctionType) or id(f) in seen:
            continue
        seen.add(id(f))
        codes = [f.__code__]
        for code in codes:
            codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
            used = {part for name in code.co_names for part in name.split(".")}
            found = sorted(used & set(names))
            if found:
                raise CheckFailed(f"{f.__name__} uses {', '.join(found)}: {why}")
            own = [f.__globals__.get(n) for n in code.co_names]
            todo += [g for g in own if getattr(g, "__globals__", None) is f.__globals__]
