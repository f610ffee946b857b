"""From the syntax tree to functions that run it: names, types and expressions."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbook.gpu.errors import OutOfBounds, SubsetError
from lmbook.gpu.simulator import atomics, mathematics, operators, syntax, warp
from lmbook.gpu.simulator.machine import Machine
from lmbook.gpu.simulator.memory import Address, retyped
from lmbook.gpu.simulator.types import (
    DOUBLE,
    FLOAT,
    INT,
    LONG,
    NAMES,
    UINT,
    ULONG,
    Array,
    CType,
    Pointer,
    Scalar,
    Vector,
)  # fmt: skip
from lmbook.gpu.simulator.values import (
    Component,
    Element,
    Expr,
    Place,
    Register,
    constant,
    convert,
    decay,
    of_place,
)  # fmt: skip

SPECIAL = {"threadIdx", "blockIdx", "blockDim", "gridDim"}
FIELDS = "xyzw"


class ExpressionCompiler:
    """Compiles expressions; `StatementCompiler` adds statements and functions."""

    def __init__(self, unit: syntax.Unit) -> None:
        self.unit = unit
        self.scopes: list[dict[str, Expr]] = [{}]
        self.types: list[dict[str, CType]] = [{}]  # type parameters of the templates entered
        self.slots = 0
        self.shared_bytes = 0

    # --- names and types

    def slot(self) -> int:
        """The number of a new register."""
        self.slots += 1
        return self.slots - 1

    def lookup(self, name: str, line: int) -> Expr:
        """What a name stands for, from the innermost scope out; raises `SubsetError` for one unknown."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        if name in mathematics.CONSTANTS:
            return constant(*mathematics.CONSTANTS[name])
        if name in self.unit.functions:
            raise SubsetError(line, f"{name} is a function", f"write {name}(...)")
        raise SubsetError(line, f"`{name}` is not declared")

    def resolve(self, t: syntax.TypeName, line: int) -> CType:
        """The type that a type's name stands for; raises `SubsetError` outside the subset."""
        base = self.types[-1].get(t.name) or NAMES.get(t.name)
        if base is None:
            raise SubsetError(line, f"{t.name} is not a type of the subset")
        if t.pointer:
            if not isinstance(base, Scalar | Vector):
                raise SubsetError(
                    line, f"{base}* is outside the subset", "name the type of the elements"
                )
            return Pointer(base, t.const)
        return base

    def integer(self, node: syntax.Node, what: str) -> int:
        """The value of an expression that must be known before the run."""
        e = self.expression(node)
        if e.const is None or not isinstance(e.type, Scalar) or e.type.floating:
            raise SubsetError(node.line, f"{what} must be known at compile time",
                              "use #define, constexpr or a template parameter")  # fmt: skip
        return int(e.const)

    # --- expressions

    def expression(self, node: syntax.Node, used: bool = True) -> Expr:
        """Compile one expression; `used` is False where its value is thrown away."""
        if isinstance(node, syntax.Call):
            return self.call(node, used)
        return getattr(self, "on_" + type(node).__name__.lower())(node)

    def value(self, node: syntax.Node) -> Expr:
        """An expression as a value: an array becomes the address of its first element."""
        return decay(self.expression(node))

    def on_number(self, node: syntax.Number) -> Expr:
        """A literal, with the type that its form and suffix say."""
        text = node.text.lower()
        if text.startswith("0x"):
            return self._integer(int(text.rstrip("ul"), 16), text, hexadecimal=True)
        if "." in text or "e" in text or text.endswith("f"):
            t = FLOAT if text.endswith("f") else DOUBLE
            return constant(t, float(text.rstrip("fl")))
        digits = text.rstrip("ul")
        octal = len(digits) > 1 and digits[0] == "0"
        return self._integer(int(digits, 8 if octal else 10), text, octal)

    @staticmethod
    def _integer(value: int, text: str, hexadecimal: bool) -> Expr:
        unsigned, wide = "u" in text, "l" in text
        if value >= 2**31 and not unsigned and not wide:
            unsigned, wide = hexadecimal and value < 2**32, value >= 2**32 or not hexadecimal
        if value >= 2**32:
            wide = True
        t = (ULONG if unsigned else LONG) if wide else (UINT if unsigned else INT)
        return constant(t, value)

    def on_name(self, node: syntax.Name) -> Expr:
        """A variable, constant or special name."""
        e = self.lookup(node.text, node.line)
        if isinstance(e.place, Register):  # the same variable, used at this line
            place = Register(e.type, e.place.slot, node.text, node.line, e.place.readonly)
            return of_place(place, pure=True)
        return e

    def on_comma(self, node: syntax.Comma) -> Expr:
        """`a, b`: both are evaluated, the second is the value."""
        first, second = self.expression(node.first, used=False), self.value(node.second)

        def run(m: Machine) -> Any:
            first.run(m)
            return second.run(m)

        return Expr(second.type, run, first.operations + second.operations,
                    first.flops + second.flops, None, False)  # fmt: skip

    def on_sizeof(self, node: syntax.SizeOf) -> Expr:
        """`sizeof(type)`, in bytes."""
        return constant(ULONG, self.resolve(node.type, node.line).size)

    def on_select(self, node: syntax.Select) -> Expr:
        """`test ? yes : no`."""
        return operators.select(
            self.value(node.test), self.value(node.yes), self.value(node.no), node.line
        )

    def on_binary(self, node: syntax.Binary) -> Expr:
        """`a op b`."""
        return operators.binary(node.op, self.value(node.left), self.value(node.right), node.line)

    def on_unary(self, node: syntax.Unary) -> Expr:
        """`op a`, among them `*p` and `&x`."""
        if node.op == "*":
            return self.element(self.value(node.operand), constant(INT, 0), node.line)
        if node.op == "&":
            return self.address_of(node)
        return operators.unary(node.op, self.value(node.operand), node.line)

    def address_of(self, node: syntax.Unary) -> Expr:
        """`&x`, for what lies in memory."""
        e = self.expression(node.operand)
        if isinstance(e.type, Array):
            return decay(e)
        if not isinstance(e.place, Element):
            raise SubsetError(
                node.line,
                "& needs an element of an array",
                "pass a variable by reference, as `float& x`",
            )
        place = e.place
        assert isinstance(place.type, Scalar | Vector)
        return Expr(
            Pointer(place.type, place.const), place.find, e.operations, e.flops, None, False
        )

    def on_cast(self, node: syntax.Cast) -> Expr:
        """`(type)x`; addresses become addresses only."""
        to, e = self.resolve(node.type, node.line), self.value(node.value)
        if not isinstance(to, Pointer):
            return convert(e, to, node.line)
        if not isinstance(e.type, Pointer):
            raise SubsetError(node.line, f"a value of type {e.type} cannot become an address")
        old, new, run, line = e.type.to.size, to.to.size, e.run, node.line
        if e.type.const and not to.const:
            to = Pointer(to.to, True)  # const is not cast away

        def address(m: Machine) -> Address:
            a: Address = run(m)
            if isinstance(a.memory, list):
                raise SubsetError(line, "a local array cannot be read as another type",
                                  "use __float_as_int and the like")  # fmt: skip
            return retyped(m, line, a, old, new)

        return Expr(to, address, e.operations, e.flops, None, e.pure)

    # --- places

    def on_index(self, node: syntax.Index) -> Expr:
        """`base[index]`, of an array or an address."""
        base, index = self.expression(node.base), self.value(node.index)
        if not isinstance(index.type, Scalar) or index.type.floating:
            raise SubsetError(node.line, f"an index must be an integer, not {index.type}")
        if not isinstance(base.type, Array):
            if not isinstance(base.type, Pointer):
                raise SubsetError(node.line, f"a value of type {base.type} has no elements")
            return self.element(base, index, node.line)
        dim, rest = base.type.dims[0], base.type.dims[1:]
        if index.const is not None and not 0 <= int(index.const) < dim:
            raise SubsetError(node.line, f"index {int(index.const)} of a dimension of {dim}")
        stride, line, start, by = int(np.prod(rest)), node.line, base.run, index.run

        def address(m: Machine) -> Address:
            a: Address = start(m)
            i = operators.offset(by(m))
            within(m, line, i, dim)
            return Address(a.memory, a.index + i * stride)

        cost, flops = base.operations + index.operations, base.flops + index.flops
        if rest:
            return Expr(Array(base.type.of, rest), address, cost, flops, None, False)
        return of_place(Element(base.type.of, address, line), cost, flops)

    def element(self, base: Expr, index: Expr, line: int) -> Expr:
        """`base[index]` of a pointer."""
        if not isinstance(base.type, Pointer):
            raise SubsetError(line, f"* needs a pointer, not {base.type}")
        pointer, by = base.run, index.run

        def address(m: Machine) -> Address:
            a: Address = pointer(m)
            return Address(a.memory, a.index + operators.offset(by(m)))

        place = Element(base.type.to, address, line, base.type.const)
        return of_place(place, base.operations + index.operations, base.flops + index.flops)

    def on_member(self, node: syntax.Member) -> Expr:
        """`threadIdx.x` and its like, or a component of a vector."""
        if isinstance(node.base, syntax.Name) and node.base.text in SPECIAL:
            if node.field not in FIELDS[:3]:
                raise SubsetError(node.line, f"{node.base.text} has x, y and z, not {node.field}")
            name = f"{node.base.text}.{node.field}"
            return Expr(UINT, lambda m: m.special[name])
        base = self.expression(node.base)
        if not isinstance(base.type, Vector) or node.field not in FIELDS[: base.type.lanes]:
            raise SubsetError(node.line, f"a value of type {base.type} has no .{node.field}")
        number, t = FIELDS.index(node.field), base.type
        if isinstance(base.place, Element):
            return self._component_of(base, base.place, number, node.line)
        if base.place is not None:
            return of_place(Component(base.place, number), base.operations, base.flops, base.pure)
        run = base.run
        return Expr(t.of, lambda m: run(m)[number], base.operations, base.flops, None, base.pure)

    def _component_of(self, base: Expr, place: Element, number: int, line: int) -> Expr:
        """`p[i].x`: one number of memory, or of a local array's element."""
        t = place.type
        assert isinstance(t, Vector)
        lanes, of = t.lanes, t.of

        class Part(Element):
            def get(self, m: Machine, where: Any) -> Any:
                if isinstance(where.memory, list):
                    return Component(place, number).get(m, where)
                return super().get(m, moved(m, where))

            def set(self, m: Machine, where: Any, value: Any) -> None:
                if isinstance(where.memory, list):
                    return Component(place, number).set(m, where, value)
                return super().set(m, moved(m, where), value)

        def moved(m: Machine, a: Address) -> Address:
            return Address(a.memory, a.index * lanes + number)

        return of_place(Part(of, place.address, line, place.const), base.operations, base.flops)

    # --- assignment

    def target(self, node: syntax.Node) -> tuple[Place, Expr]:
        """The place that can be assigned to, and its expression; raises `SubsetError` for others."""
        e = self.expression(node)
        if e.place is None:
            what = "an array" if isinstance(e.type, Array) else "a constant or a computed value"
            raise SubsetError(
                node.line, f"{what} cannot be assigned to", "assign to a variable or an element"
            )
        if isinstance(e.place, Register) and e.place.readonly:
            raise SubsetError(node.line, f"`{e.place.name}` is const", "drop `const`")
        if isinstance(e.place, Element) and e.place.const:
            raise SubsetError(node.line, "a const array cannot be written to", "drop `const`")
        return e.place, e

    def on_assign(self, node: syntax.Assign) -> Expr:
        """`place = x` and `place op= x`."""
        place, e = self.target(node.target)
        given, line = self.value(node.value), node.line
        if not node.op:
            new = convert(given, place.type, line)
            run_new = new.run

            def assign(m: Machine) -> Any:
                where = place.find(m)
                value = run_new(m)
                place.set(m, where, value)
                return value

            return Expr(place.type, assign, e.operations + new.operations, e.flops + new.flops,
                        None, False)  # fmt: skip
        return self.update(place, e, node.op, given, line, postfix=False)

    def on_step(self, node: syntax.Step) -> Expr:
        """`++x`, `x++`, `--x`, `x--`."""
        place, e = self.target(node.operand)
        return self.update(place, e, node.op, constant(INT, 1), node.line, node.postfix)

    def update(self, place: Place, e: Expr, op: str, given: Expr, line: int, postfix: bool) -> Expr:
        """`place op= given`: the place is found once, read, and written."""
        slot = self.slot()
        old = Expr(place.type, lambda m: m.registers[slot])
        new = convert(operators.binary(op, old, given, line), place.type, line)
        compute = new.run

        def run(m: Machine) -> Any:
            where = place.find(m)
            before = m.registers[slot] = place.get(m, where)
            value = compute(m)
            place.set(m, where, value)
            return before if postfix else value

        return Expr(
            place.type, run, e.operations + new.operations, e.flops + new.flops, None, False
        )

    # --- calls

    def call(self, node: syntax.Call, used: bool) -> Expr:
        """A call of a function of the source, of a warp, atomic or mathematical function."""
        name, line = node.name, node.line
        if name in self.unit.functions:
            return self.inline(node)  # type: ignore[attr-defined,no-any-return]
        arguments = [self.expression(a) for a in node.arguments]
        if name in warp.NAMES:
            return warp.call(name, arguments, line)
        if name in atomics.NAMES:
            return atomics.call(name, arguments, line, used)
        if name in mathematics.FUNCTIONS or name.startswith("make_"):
            return mathematics.call(name, arguments, line)
        if name == "__ldg" and len(arguments) == 1:
            return self.element(decay(arguments[0]), constant(INT, 0), line)
        raise SubsetError(line, f"{name} is not a function of the subset",
                          "lmbook.gpu.functions() lists what there is")  # fmt: skip


def within(m: Machine, line: int, i: Any, dim: int) -> None:
    """An index of a declared array must lie within its own dimension, not only within the array."""
    if np.ndim(i) == 0:
        if 0 <= i < dim:
            return
    elif i.min() >= 0 and i.max() < dim:
        return
    bad = m.mask.lanes & ((i < 0) | (i >= dim))
    if bad.any():
        n = int(m.spread(i)[m.spread(bad)][0])
        m.fault(OutOfBounds, line, f"index {n} of a dimension of {dim}", bad)
