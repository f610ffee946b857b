"""Compiled expressions, and the places that can be assigned to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmbook.gpu.errors import SubsetError, UninitialisedRead
from lmbook.gpu.simulator.machine import Machine
from lmbook.gpu.simulator.masks import Mask
from lmbook.gpu.simulator.memory import Address, load, merge, store
from lmbook.gpu.simulator.types import Array, CType, Pointer, Scalar, Vector, cast

Run = Callable[[Machine], Any]


@dataclass
class Expr:
    """An expression: its type, and a function that computes it for all lanes.

    `operations` and `flops` are what each evaluation costs a warp and a lane; memory accesses count
    themselves. `const` is the value where it is known before the run. `pure` expressions touch no memory
    and change nothing, so that computing them for idle lanes does no harm.
    """

    type: CType
    run: Run
    operations: int = 0
    flops: int = 0
    const: Any = None
    pure: bool = True
    place: Place | None = None


class Place:
    """Something with a value that can be read and changed."""

    type: CType

    def find(self, m: Machine) -> Any:
        """What is needed to reach it, computed once for reading and writing."""

    def get(self, m: Machine, where: Any) -> Any:
        """The value at a place, one for each lane."""
        raise NotImplementedError(f"{type(self).__name__} has no get method: write one")

    def set(self, m: Machine, where: Any, value: Any) -> None:
        """Write a value to a place, in the lanes at work."""
        raise NotImplementedError(f"{type(self).__name__} has no set method: write one")


class Register(Place):
    """A variable of the kernel: one value for every lane."""

    def __init__(
        self, type_: CType, slot: int, name: str, line: int, readonly: bool = False
    ) -> None:
        self.type, self.slot, self.name, self.line = type_, slot, name, line
        self.readonly = readonly

    def get(self, m: Machine, where: Any) -> Any:
        """The variable's value; to read it before it has one is a fault."""
        value = m.registers[self.slot]
        if value is None:
            m.fault(
                UninitialisedRead, self.line, f"`{self.name}` is read before it has a value", True
            )
        return value

    def set(self, m: Machine, where: Any, value: Any) -> None:
        """Give the variable a value in the lanes at work."""
        if m.mask is not m.owner[self.slot]:
            value = self._merged(m, value, m.registers[self.slot])
        m.registers[self.slot] = value

    def _merged(self, m: Machine, value: Any, old: Any) -> Any:
        if isinstance(value, Address):
            if old is None or m.mask.full or value.memory is old.memory:
                where = old.index if old is not None else value.index
                return Address(value.memory, merge(m, value.index, where))
            raise SubsetError(
                self.line, f"lanes of one warp point `{self.name}` into different arrays",
                "choose the array with a uniform condition",
            )  # fmt: skip
        if old is None and isinstance(self.type, Scalar) and self.type.floating:
            old = self.type.dtype.type(np.nan)  # for lanes that do not assign now
        return merge(m, value, old)

    def declare(self, m: Machine, value: Any) -> None:
        """Give the variable its first value, for the lanes at work."""
        m.registers[self.slot] = value
        m.owner[self.slot] = m.mask


class Element(Place):
    """A place in memory, reached by an address."""

    def __init__(
        self, type_: Scalar | Vector, address: Run, line: int, const: bool = False
    ) -> None:
        self.type, self.address, self.line, self.const = type_, address, line, const

    def find(self, m: Machine) -> Any:
        """The address, found once."""
        return self.address(m)

    def get(self, m: Machine, where: Any) -> Any:
        """Load the element."""
        return load(m, self.line, where, self.type)  # type: ignore[arg-type]

    def set(self, m: Machine, where: Any, value: Any) -> None:
        """Store to the element."""
        store(m, self.line, where, self.type, value)  # type: ignore[arg-type]


class Component(Place):
    """`v.x` of a variable or a local array's element of vector type."""

    def __init__(self, base: Place, number: int) -> None:
        assert isinstance(base.type, Vector)
        self.base, self.number, self.type = base, number, base.type.of

    def find(self, m: Machine) -> Any:
        """Where the whole vector is."""
        return self.base.find(m)

    def get(self, m: Machine, where: Any) -> Any:
        """The component's value."""
        return self.base.get(m, where)[self.number]

    def set(self, m: Machine, where: Any, value: Any) -> None:
        """Write the component and leave the others."""
        if isinstance(self.base, Register) and m.registers[self.base.slot] is None:
            m.registers[self.base.slot] = self._blank()
        if isinstance(where, Address) and isinstance(where.memory, list):
            where.memory[:] = [self._blank() if v is None else v for v in where.memory]
        parts = list(self.base.get(m, where))
        parts[self.number] = value
        self.base.set(m, where, parts)

    def _blank(self) -> list[Any]:
        """A vector of which no component has been given yet."""
        assert isinstance(self.base.type, Vector)
        nothing = np.nan if self.base.type.of.floating else 0
        return [self.base.type.of.dtype.type(nothing)] * self.base.type.lanes


class Bound(Place):
    """A reference parameter: a place of the caller, found when the function is entered."""

    def __init__(self, place: Place, slot: int) -> None:
        self.place, self.slot, self.type = place, slot, place.type

    def find(self, m: Machine) -> Any:
        """Where the place is, found once and kept."""
        return m.registers[self.slot]

    def get(self, m: Machine, where: Any) -> Any:
        """The value at the place."""
        return self.place.get(m, where)

    def set(self, m: Machine, where: Any, value: Any) -> None:
        """Write a value to the place."""
        self.place.set(m, where, value)


def of_place(place: Place, operations: int = 0, flops: int = 0, pure: bool = False) -> Expr:
    """The expression that reads a place."""
    return Expr(
        place.type, lambda m: place.get(m, place.find(m)), operations, flops, None, pure, place
    )


def constant(type_: Scalar, value: Any) -> Expr:
    """An expression that is the same number everywhere."""
    number = type_.dtype.type(value)
    return Expr(type_, lambda m: number, const=number)


def charged(e: Expr, line: int) -> Run:
    """The expression as a step of its own, which adds its cost for the lanes then at work."""
    run, operations, flops = e.run, e.operations, e.flops
    if not operations and not flops:
        return run

    def step(m: Machine) -> Any:
        m.charge(line, operations, flops)
        return run(m)

    return step


def under(m: Machine, mask: Mask, run: Run) -> Any:
    """Run something for the lanes of `mask` only."""
    before, m.mask = m.mask, mask
    value = run(m)
    m.mask = before
    return value


def decay(e: Expr) -> Expr:
    """An array becomes a pointer to its first element."""
    if isinstance(e.type, Array):
        return replace(e, type=Pointer(e.type.of), place=None)
    return e


def convert(e: Expr, to: CType, line: int) -> Expr:
    """The expression as a value of type `to`, by C's implicit rules."""
    e = decay(e)
    if e.type == to:
        return e
    if isinstance(e.type, Scalar) and isinstance(to, Scalar):
        dtype, run = to.dtype, e.run
        if e.const is not None:
            return constant(to, cast(np.asarray(e.const), dtype)[()])
        crossing = int(to.floating != e.type.floating or (to.floating and to != e.type))
        return Expr(
            to, lambda m: cast(run(m), dtype), e.operations + crossing, e.flops, None, e.pure
        )
    if isinstance(e.type, Pointer) and isinstance(to, Pointer):
        if e.type.to != to.to:
            raise SubsetError(line, f"{e.type} is not {to}", f"write reinterpret_cast<{to}>(...)")
        if e.type.const and not to.const:
            raise SubsetError(line, "a pointer to const data becomes one that can write",
                              "declare the target `const`")  # fmt: skip
        return replace(e, type=to, place=None)
    raise SubsetError(line, f"a value of type {e.type} cannot become {to}")
