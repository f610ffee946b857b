"""Arithmetic, comparison, logic and selection on compiled expressions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from lmbook.gpu.errors import SubsetError, UndefinedArithmetic
from lmbook.gpu.simulator.machine import Machine
from lmbook.gpu.simulator.masks import NOBODY
from lmbook.gpu.simulator.memory import Address
from lmbook.gpu.simulator.types import BOOL, HALF, Pointer, Scalar, cast, promote, usual
from lmbook.gpu.simulator.values import Expr, charged, convert, decay, under

COMPARE = {"<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal,
           "==": np.equal, "!=": np.not_equal}  # fmt: skip
ARITHMETIC = {"+": np.add, "-": np.subtract, "*": np.multiply, "&": np.bitwise_and,
              "|": np.bitwise_or, "^": np.bitwise_xor}  # fmt: skip
SHIFT = {"<<": np.left_shift, ">>": np.right_shift}


def binary(op: str, a: Expr, b: Expr, line: int) -> Expr:
    """`a op b` with C's conversions."""
    a, b = decay(a), decay(b)
    if op in ("&&", "||"):
        return logic(op, truth(a, line), truth(b, line), line)
    if isinstance(a.type, Pointer) or isinstance(b.type, Pointer):
        return pointer_arithmetic(op, a, b, line)
    if not (isinstance(a.type, Scalar) and isinstance(b.type, Scalar)):
        raise SubsetError(
            line, f"{a.type} {op} {b.type} does not exist in CUDA", "write it for .x, .y, .z, .w"
        )
    left, right = a.type, b.type
    if HALF in (a.type, b.type) and a.type != b.type:
        raise SubsetError(
            line, f"{a.type} {op} {b.type} is ambiguous in CUDA", "convert with __half2float(...)"
        )
    if op in SHIFT:
        t = promote(a.type)
        a, b = convert(a, t, line), convert(convert(b, promote(b.type), line), t, line)  # type: ignore[arg-type]
        return combine(t, SHIFT[op], a, b, 0)
    t = usual(left, right)
    if t.floating and op in ("%", "&", "|", "^"):
        raise SubsetError(line, f"{op} does not exist for {t}", "use fmodf, or integers")
    a, b = convert(a, t, line), convert(b, t, line)
    if op in COMPARE:
        return combine(BOOL, COMPARE[op], a, b, 0)
    if op in ARITHMETIC:
        return combine(t, ARITHMETIC[op], a, b, int(t.floating))
    if t.floating:
        return combine(t, np.divide, a, b, 1)
    return integer_division(op, t, a, b, line)


def combine(t: Scalar, f: Callable[..., Any], a: Expr, b: Expr, flops: int) -> Expr:
    """An expression of two operands of the right types."""
    left, right = a.run, b.run
    if a.const is not None and b.const is not None:
        with np.errstate(all="ignore"):
            value = f(a.const, b.const)
        return Expr(t, lambda m: value, const=value)
    return Expr(
        t, lambda m: f(left(m), right(m)),
        a.operations + b.operations + 1, a.flops + b.flops + flops, None, a.pure and b.pure,
    )  # fmt: skip


def integer_division(op: str, t: Scalar, a: Expr, b: Expr, line: int) -> Expr:
    """`/` rounds towards zero, and `%` has the sign of `a`."""

    def compute(x: Any, y: Any) -> Any:
        if op == "%":
            return np.fmod(x, y)
        if t.dtype.kind == "u" or (np.min(x) >= 0 and np.min(y) > 0):
            return np.floor_divide(x, y)
        return np.floor_divide(x - np.fmod(x, y), y)

    def run(m: Machine) -> Any:
        x, y = left(m), right(m)
        zero = y == 0
        if np.any(zero):
            if (m.mask.lanes & zero).any():
                m.fault(UndefinedArithmetic, line, "an integer is divided by zero", zero)
            y = np.where(zero, t.dtype.type(1), y)
        return compute(x, y)

    left, right = a.run, b.run
    if a.const is not None and b.const is not None and b.const != 0:
        value = t.dtype.type(compute(a.const, b.const))
        return Expr(t, lambda m: value, const=value)
    pure = a.pure and b.pure and b.const is not None
    return Expr(t, run, a.operations + b.operations + 1, a.flops + b.flops, None, pure)


def pointer_arithmetic(op: str, a: Expr, b: Expr, line: int) -> Expr:
    """Pointer plus or minus an integer."""
    if isinstance(b.type, Pointer) and op == "+":
        a, b = b, a
    if op not in "+-" or isinstance(b.type, Pointer):
        raise SubsetError(
            line, f"{op} between pointers is outside the subset", "compute with indices"
        )
    if not isinstance(b.type, Scalar) or b.type.floating:
        raise SubsetError(line, f"a pointer moves by an integer, not by {b.type}")
    pointer, by, sign = a.run, b.run, 1 if op == "+" else -1

    def run(m: Machine) -> Address:
        p: Address = pointer(m)
        return p.moved(sign * offset(by(m)))

    return Expr(
        a.type, run, a.operations + b.operations + 1, a.flops + b.flops, None, a.pure and b.pure
    )


def offset(index: Any) -> Any:
    """An integer value as NumPy wants it for indices."""
    return cast(index, np.dtype(np.intp))


def unary(op: str, a: Expr, line: int) -> Expr:
    """`-a`, `+a`, `~a` and `!a`."""
    if op == "!":
        a = truth(a, line)
        return _one(BOOL, np.logical_not, a, 0)
    if not isinstance(a.type, Scalar):
        raise SubsetError(line, f"{op} does not exist for {a.type}")
    t = a.type if a.type.floating else promote(a.type)
    a = convert(a, t, line)
    if op == "+":
        return replace(a, place=None)
    if op == "~" and t.floating:
        raise SubsetError(line, f"~ does not exist for {t}")
    return _one(t, np.negative if op == "-" else np.invert, a, int(t.floating))


def _one(t: Scalar, f: Callable[..., Any], a: Expr, flops: int) -> Expr:
    run = a.run
    if a.const is not None:
        with np.errstate(all="ignore"):
            value = f(a.const)
        return Expr(t, lambda m: value, const=value)
    return Expr(t, lambda m: f(run(m)), a.operations + 1, a.flops + flops, None, a.pure)


def truth(a: Expr, line: int) -> Expr:
    """A number as a condition: different from zero."""
    if a.type == BOOL:
        return a
    if not isinstance(a.type, Scalar):
        raise SubsetError(line, f"a condition cannot be of type {a.type}")
    run = a.run
    if a.const is not None:
        value = np.bool_(a.const != 0)
        return Expr(BOOL, lambda m: value, const=value)
    return Expr(BOOL, lambda m: run(m) != 0, a.operations, a.flops, None, a.pure)


def logic(op: str, a: Expr, b: Expr, line: int) -> Expr:
    """`&&` and `||`: the right side is evaluated only where the left does not decide."""
    stop = op == "||"  # the value of the left side that decides
    if a.const is not None:
        return constant_bool(stop) if bool(a.const) == stop else b
    left, right = a.run, charged(b, line)
    plain, join = b.run, np.logical_or if stop else np.logical_and
    if b.pure:
        return Expr(BOOL, lambda m: join(left(m), plain(m)), a.operations + b.operations + 1,
                    a.flops + b.flops, None, a.pure)  # fmt: skip

    def run(m: Machine) -> Any:
        x = left(m)
        if np.ndim(x) == 0:
            return np.bool_(stop) if bool(x) == stop else right(m)
        open_ = m.mask.without(x) if stop else m.mask.both(x)
        return x if open_.count == 0 else join(x, under(m, open_, right))

    return Expr(BOOL, run, a.operations + 1, a.flops, None, False)


def constant_bool(value: bool) -> Expr:
    """An expression that is true or false everywhere."""
    number = np.bool_(value)
    return Expr(BOOL, lambda m: number, const=number)


def select(test: Expr, yes: Expr, no: Expr, line: int) -> Expr:
    """`test ? yes : no`. Sides that touch memory are evaluated for their own lanes only."""
    test, yes, no = truth(decay(test), line), decay(yes), decay(no)
    if isinstance(yes.type, Scalar) and isinstance(no.type, Scalar):
        t = yes.type if yes.type == no.type else usual(yes.type, no.type)
        yes, no = convert(yes, t, line), convert(no, t, line)
    elif yes.type != no.type:
        raise SubsetError(line, f"the sides of ? : have the types {yes.type} and {no.type}")
    if test.const is not None:
        return yes if test.const else no
    if yes.pure and no.pure and isinstance(yes.type, Scalar):
        c, a, b = test.run, yes.run, no.run
        return Expr(
            yes.type, lambda m: pick(c(m), a(m), b(m)),
            test.operations + yes.operations + no.operations + 1,
            test.flops + yes.flops + no.flops, None, test.pure,
        )  # fmt: skip
    condition, first, second = test.run, charged(yes, line), charged(no, line)

    def run(m: Machine) -> Any:
        c = condition(m)
        if np.ndim(c) == 0:
            return first(m) if c else second(m)
        a, b = m.mask.both(c), m.mask.without(c)
        x = under(m, a, first) if a.count else NOBODY
        y = under(m, b, second) if b.count else NOBODY
        return y if x is NOBODY else x if y is NOBODY else pick(c, x, y, line)

    return Expr(yes.type, run, test.operations + 1, test.flops, None, False)


def pick(c: Any, a: Any, b: Any, line: int = 0) -> Any:
    """`a` where `c` holds, else `b`; of numbers, vectors and addresses into one array."""
    if np.ndim(c) == 0:
        return a if c else b
    if isinstance(a, Address):
        if a.memory is not b.memory:
            raise SubsetError(line, "? : chooses between pointers into different arrays",
                              "choose between indices into one array")  # fmt: skip
        return Address(a.memory, np.where(c, a.index, b.index))
    if isinstance(a, list):
        return [np.where(c, x, y) for x, y in zip(a, b)]
    return np.where(c, a, b)
