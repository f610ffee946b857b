"""Declarations: variables, arrays in registers, shared memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lmbook.gpu.errors import SubsetError
from lmbook.gpu.simulator import syntax
from lmbook.gpu.simulator.compiler import ExpressionCompiler
from lmbook.gpu.simulator.machine import Machine
from lmbook.gpu.simulator.memory import Address, Memory
from lmbook.gpu.simulator.races import Shadow
from lmbook.gpu.simulator.types import VOID, Array, CType, Pointer, Scalar, Vector
from lmbook.gpu.simulator.values import (
    Element,
    Expr,
    Register,
    charged,
    constant,
    convert,
    of_place,
)  # fmt: skip

Step = Callable[[Machine], None]
DYNAMIC = "(dynamic shared memory)"


class DeclarationCompiler(ExpressionCompiler):
    """Compiles declarations: constants, variables, arrays, shared memory."""

    def __init__(self, unit: syntax.Unit) -> None:
        super().__init__(unit)
        self.active: list[str] = []  # functions being compiled, outermost first
        self.shared_sizes: dict[str, int] = {}
        for declared in unit.constants:
            self.declare_constant(declared)

    def declare_constant(self, node: syntax.Declare) -> None:
        """A constant of the file; it must be a number."""
        t = self.resolve(node.type, node.line)
        if node.value is None or node.dims or not isinstance(t, Scalar):
            raise SubsetError(node.line, f"the constant {node.name} must be a number",
                              "pass arrays to the kernel as `const T*`")  # fmt: skip
        e = convert(self.value(node.value), t, node.line)
        if e.const is None:
            raise SubsetError(node.line, f"the value of {node.name} must be known at compile time")
        self.scopes[0][node.name] = e

    def declare(self, node: syntax.Declare) -> Step:
        """A variable or an array of the kernel."""
        t = self.resolve(node.type, node.line)
        if node.shared:
            return self.declare_shared(node, t)
        if node.type.reference:
            raise SubsetError(node.line, "references are for parameters", "copy the value")
        if node.dims:
            return self.declare_array(node, t)
        if t == VOID or isinstance(t, Array):
            raise SubsetError(node.line, f"a variable cannot be of type {t}")
        value = self._initial(node, t)
        if node.type.const and value is not None and value.const is not None:
            self.scopes[-1][node.name] = value
            return lambda m: None
        readonly = node.type.const and not isinstance(t, Pointer)
        place = Register(t, self.slot(), node.name, node.line, readonly)
        self.scopes[-1][node.name] = of_place(place, pure=True)
        if value is None:
            return lambda m: place.declare(m, None)
        run = charged(value, node.line)
        return lambda m: place.declare(m, run(m))

    def _initial(self, node: syntax.Declare, t: CType) -> Expr | None:
        if node.elements is None:
            return None if node.value is None else convert(self.value(node.value), t, node.line)
        if not isinstance(t, Vector) or len(node.elements) > t.lanes:
            raise SubsetError(node.line, f"{{...}} has no meaning for {t}")
        parts = [convert(self.value(e), t.of, node.line) for e in node.elements]
        parts += [constant(t.of, 0)] * (t.lanes - len(parts))
        return Expr(t, lambda m: [p.run(m) for p in parts], sum(p.operations for p in parts),
                    sum(p.flops for p in parts))  # fmt: skip

    def declare_array(self, node: syntax.Declare, t: CType) -> Step:
        """A local array: a list of registers, as long as indices are known."""
        dims = tuple(self.integer(d, "the size of an array") if d else 0 for d in node.dims)
        if not isinstance(t, Scalar | Vector) or min(dims) < 1:
            raise SubsetError(node.line, f"an array of {t} needs a size for every dimension")
        size, slot = int(np.prod(dims)), self.slot()
        self.scopes[-1][node.name] = Expr(
            Array(t, dims), lambda m: Address(m.registers[slot], np.intp(0)), pure=False
        )
        if node.value is not None or (node.elements and isinstance(t, Vector)):
            raise SubsetError(
                node.line, "an array is initialised by {...} of numbers", "assign in a loop"
            )
        parts = [convert(self.value(e), t, node.line) for e in node.elements or []]
        if len(parts) > size or (len(dims) > 1 and len(parts) > 1):
            raise SubsetError(
                node.line, f"{len(parts)} values for {Array(t, dims)}", "assign in a loop"
            )
        runs = [charged(p, node.line) for p in parts]
        zero: Any = None
        if node.elements is not None:
            zero = [t.of.dtype.type(0)] * t.lanes if isinstance(t, Vector) else t.dtype.type(0)

        def run(m: Machine) -> None:
            m.registers[slot] = [r(m) for r in runs] + [zero] * (size - len(runs))

        return run

    def declare_shared(self, node: syntax.Declare, t: CType) -> Step:
        """An array or a variable that the threads of a block share."""
        if not isinstance(t, Scalar | Vector):
            raise SubsetError(node.line, f"shared memory cannot hold {t}", "share the elements")
        if node.value is not None or node.elements is not None:
            raise SubsetError(
                node.line, "shared memory has no initial value", "let the threads write it"
            )
        name, key, grain = node.name, node.name, (t.of if isinstance(t, Vector) else t).size
        if node.dynamic:
            if node.dims != [None]:
                raise SubsetError(
                    node.line, "dynamic shared memory is declared", "extern __shared__ T name[]"
                )
            key = DYNAMIC
            self.scopes[-1][name] = Expr(Pointer(t), lambda m: Address(m.shared[key], np.intp(0)))
            return lambda m: self._reserve(m, key, name, m.shared_dynamic, grain)
        dims = tuple(self.integer(d, "the size of an array") if d else 0 for d in node.dims)
        if dims and min(dims) < 1:
            raise SubsetError(node.line, f"{name}[] needs a size", "or extern __shared__")
        size = t.size * int(np.prod(dims))
        key = f"{self.active[-1]}.{name}.{node.line}.{size}"  # templates may differ in size
        if key not in self.shared_sizes:
            self.shared_bytes = -(-self.shared_bytes // 16) * 16 + size
            self.shared_sizes[key] = size

        def address(m: Machine) -> Address:
            return Address(m.shared[key], np.intp(0))

        if dims:
            self.scopes[-1][name] = Expr(Array(t, dims), address, pure=False)
        else:
            self.scopes[-1][name] = of_place(Element(t, address, node.line))
        return lambda m: self._reserve(m, key, name, size, grain)

    @staticmethod
    def _reserve(m: Machine, key: str, name: str, size: int, grain: int) -> None:
        if key in m.shared:
            return
        memory = Memory(name, "shared", np.zeros((m.blocks, size), np.uint8), grain)
        if m.races:
            memory.shadow = Shadow(max(1, size // grain), shared=True)
        m.shared[key] = memory
