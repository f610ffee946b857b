"""Statements and functions: control flow by masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lmbook.gpu.errors import KernelFault, SubsetError
from lmbook.gpu.simulator import syntax
from lmbook.gpu.simulator.compiler import ExpressionCompiler
from lmbook.gpu.simulator.machine import Machine
from lmbook.gpu.simulator.masks import NOBODY, union
from lmbook.gpu.simulator.memory import Address, Memory, merge
from lmbook.gpu.simulator.operators import truth
from lmbook.gpu.simulator.races import Shadow
from lmbook.gpu.simulator.types import VOID, Array, CType, Pointer, Scalar, Vector
from lmbook.gpu.simulator.values import (
    Bound,
    Expr,
    Register,
    charged,
    constant,
    convert,
    decay,
    of_place,
)

Step = Callable[[Machine], None]
DYNAMIC = "(dynamic shared memory)"


class EndlessLoop(KernelFault):
    """A loop that takes more rounds than `max_iterations`."""


class StatementCompiler(ExpressionCompiler):
    def __init__(self, unit: syntax.Unit) -> None:
        super().__init__(unit)
        self.active: list[str] = []  # functions being compiled, outermost first
        self.results: list[CType] = []
        self.shared_sizes: dict[str, int] = {}
        for declared in unit.constants:
            self.declare_constant(declared)

    def statement(self, node: syntax.Node) -> Step:
        if isinstance(node, syntax.Declare):
            return self.declare(node)
        return getattr(self, "on_" + type(node).__name__.lower())(node)  # type: ignore[no-any-return]

    def on_block(self, node: syntax.Block) -> Step:
        if node.scope:
            self.scopes.append({})
        steps = [self.statement(s) for s in node.body]
        if node.scope:
            self.scopes.pop()

        def run(m: Machine) -> None:
            for step in steps:
                step(m)
                if m.mask is NOBODY:  # all have left by return, break or continue
                    return

        return steps[0] if len(steps) == 1 else run

    def on_evaluate(self, node: syntax.Evaluate) -> Step:
        return charged(self.expression(node.value, used=False), node.line)

    # --- declarations

    def declare_constant(self, node: syntax.Declare) -> None:
        t = self.resolve(node.type, node.line)
        if node.value is None or node.dims or not isinstance(t, Scalar):
            raise SubsetError(node.line, f"the constant {node.name} must be a number",
                              "pass arrays to the kernel as `const T*`")  # fmt: skip
        e = convert(self.value(node.value), t, node.line)
        if e.const is None:
            raise SubsetError(node.line, f"the value of {node.name} must be known at compile time")
        self.scopes[0][node.name] = e

    def declare(self, node: syntax.Declare) -> Step:
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
        place = Register(t, self.slot(), node.name, node.line)
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
        key = f"{self.active[-1]}.{name}.{node.line}"
        if key not in self.shared_sizes:
            self.shared_bytes = -(-self.shared_bytes // 16) * 16 + size
            self.shared_sizes[key] = size

        def address(m: Machine) -> Address:
            return Address(m.shared[key], np.intp(0))

        if dims:
            self.scopes[-1][name] = Expr(Array(t, dims), address, pure=False)
        else:
            from lmbook.gpu.simulator.values import Element

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

    # --- control flow

    def on_if(self, node: syntax.If) -> Step:
        test = truth(self.value(node.test), node.test.line)
        if test.const is not None:
            chosen = node.yes if test.const else node.no
            return self.scoped(chosen) if chosen else lambda m: None
        condition, line = charged(test, node.line), node.line
        yes = self.scoped(node.yes)
        no = self.scoped(node.no) if node.no else None

        def run(m: Machine) -> None:
            before = m.mask
            a, b = m.branch(line, condition(m))
            if b is NOBODY:
                return yes(m)
            if a is NOBODY:
                return no(m) if no else None
            m.mask = a
            yes(m)
            left, m.mask = m.mask, b
            if no:
                no(m)
            m.mask = before if left is a and m.mask is b else union(left, m.mask)
            return None

        return run

    def scoped(self, node: syntax.Node) -> Step:
        """A statement with names of its own."""
        self.scopes.append({})
        step = self.statement(node)
        self.scopes.pop()
        return step

    def on_loop(self, node: syntax.Loop) -> Step:
        self.scopes.append({})
        start = self.loop_part(node.start)
        test = truth(self.value(node.test), node.line) if node.test else None
        step, body, line = self.loop_part(node.step), self.scoped(node.body), node.line
        self.scopes.pop()
        condition = charged(test, line) if test is not None and test.const is None else None
        if test is not None and test.const is not None and not test.const and node.test_first:
            return start or (lambda m: None)
        once = test is not None and test.const is not None and not test.const
        returns, test_first = has_return(node.body), node.test_first

        def run(m: Machine) -> None:
            before = m.mask
            if start:
                start(m)
            out = NOBODY
            leaving = [NOBODY, NOBODY]
            m.loops.append(leaving)
            for rounds in range(m.max_iterations + 1):
                if condition and (test_first or rounds):
                    m.mask, done = m.branch(line, condition(m))
                    out = union(out, done)
                    if m.mask is NOBODY:
                        break
                elif once and rounds:
                    out = m.mask
                    break
                leaving[1] = NOBODY
                body(m)
                m.mask = union(m.mask, leaving[1])
                if m.mask is NOBODY:
                    break
                if step:
                    step(m)
            else:
                m.fault(
                    EndlessLoop, line, f"a loop does not end within {m.max_iterations} rounds", True
                )
            m.loops.pop()
            m.mask = union(out, leaving[0]) if returns else before

        return run

    def loop_part(self, node: syntax.Node | None) -> Step | None:
        if node is None:
            return None
        if isinstance(node, syntax.Block):
            return self.statement(node)
        return charged(self.expression(node, used=False), node.line)

    def on_break(self, node: syntax.Break) -> Step:
        return self._leave(0)

    def on_continue(self, node: syntax.Continue) -> Step:
        return self._leave(1)

    @staticmethod
    def _leave(which: int) -> Step:
        def run(m: Machine) -> None:
            m.loops[-1][which] = union(m.loops[-1][which], m.mask)
            m.mask = NOBODY

        return run

    def on_return(self, node: syntax.Return) -> Step:
        result = self.results[-1]
        if (node.value is None) != (result == VOID):
            raise SubsetError(node.line, f"a function of type {result} must return that")
        if len(self.active) > 1:
            value = convert(self.value(node.value), result, node.line) if node.value else None
            compute = charged(value, node.line) if value else None

            def leave(m: Machine) -> None:
                if compute:
                    m.calls[-1] = merge(m, compute(m), m.calls[-1])
                m.mask = NOBODY

            return leave

        def end(m: Machine) -> None:
            gone = m.mask
            m.live = m.live.without(gone.lanes)
            m.mask = NOBODY

        return end

    # --- functions

    def inline(self, node: syntax.Call) -> Expr:
        """A call of a `__device__` function: its body is compiled anew for each call."""
        f = self.unit.functions[node.name]
        if f.name in self.active:
            raise SubsetError(node.line, f"{f.name} calls itself", "write a loop")
        if f.is_kernel:
            raise SubsetError(node.line, f"{f.name} is a kernel; kernels are launched, not called")
        if len(node.arguments) != len(f.parameters):
            raise SubsetError(node.line, f"{f.name} takes {len(f.parameters)} arguments")
        arguments = [self.expression(a) for a in node.arguments]
        given: list[Any] = [
            self.resolve(a, node.line) if isinstance(a, syntax.TypeName)
            else self.integer(a, "a template argument") for a in node.template
        ]  # fmt: skip
        scope, types = self.enter(f, given, node.line, arguments)
        enter: list[Step] = []
        for p, a in zip(f.parameters, arguments):
            scope[p.name], step = self.bind(p, a, types, node.line)
            if step:
                enter.append(step)
        result = types.get(f.result.name) or self.resolve(f.result, node.line)
        body = self.body(f, scope, types, result)

        def run(m: Machine) -> Any:
            for step in enter:
                step(m)
            before = m.mask
            m.calls.append(None)
            body(m)
            m.mask = before
            return m.calls.pop()

        return Expr(result, run, sum(a.operations for a in arguments),
                    sum(a.flops for a in arguments), None, False)  # fmt: skip

    def enter(
        self, f: syntax.Function, given: list[Any], line: int, arguments: list[Expr] | None = None
    ) -> tuple[dict[str, Expr], dict[str, CType]]:
        """Bind the template's parameters: numbers become constants, types names of types."""
        scope: dict[str, Expr] = {}
        types: dict[str, CType] = {}
        given = [*given, *[None] * (len(f.template) - len(given))]
        if len(given) > len(f.template):
            raise SubsetError(line, f"{f.name} has {len(f.template)} template parameters")
        for (kind, name), value in zip(f.template, given):
            if value is None and kind == "typename" and arguments is not None:
                value = deduced(name, f, arguments)
            if value is None or isinstance(value, int) == (kind == "typename"):
                raise SubsetError(
                    line, f"{f.name} needs a value for {name}", f"write {f.name}<...>"
                )
            if kind == "typename":
                types[name] = value
            else:
                scope[name] = self.on_number(syntax.Number(line, str(value)))
        return scope, types

    def bind(
        self, p: syntax.Parameter, a: Expr, types: dict[str, CType], line: int
    ) -> tuple[Expr, Step | None]:
        """What a parameter's name means inside the function, and how it gets its value."""
        self.types.append(types)
        t = self.resolve(p.type, line)
        self.types.pop()
        if p.type.reference and not p.type.const:
            if a.place is None or a.place.type != t:
                raise SubsetError(
                    line, f"{p.name} is a reference to {t}", "pass a variable of that type"
                )
            bound = Bound(a.place, self.slot())

            def find(m: Machine) -> None:
                m.registers[bound.slot] = bound.place.find(m)

            return of_place(bound), find
        value = convert(decay(a), t, line)
        if value.const is not None and p.type.const:
            return value, None
        place, run = Register(t, self.slot(), p.name, line), value.run
        return of_place(place, pure=True), lambda m: place.declare(m, run(m))

    def body(
        self, f: syntax.Function, scope: dict[str, Expr], types: dict[str, CType], result: CType
    ) -> Step:
        """Compile a function's body with nothing in sight but the file and its own names."""
        outer, self.scopes = self.scopes, [self.scopes[0], scope]
        self.types.append(types)
        self.active.append(f.name)
        self.results.append(result)
        step = self.statement(f.body)
        self.scopes = outer
        self.types.pop(), self.active.pop(), self.results.pop()
        return step


def deduced(name: str, f: syntax.Function, arguments: list[Expr]) -> CType | None:
    """The type parameter `name`, read off the arguments."""
    for p, a in zip(f.parameters, arguments):
        if p.type.name == name:
            t = decay(a).type
            return t.to if isinstance(t, Pointer) and p.type.pointer else t
    return None


def has_return(node: syntax.Node | None) -> bool:
    """Whether lanes can leave the function inside a statement."""
    if isinstance(node, syntax.Return):
        return True
    if isinstance(node, syntax.Block):
        return any(has_return(s) for s in node.body)
    if isinstance(node, syntax.If):
        return has_return(node.yes) or has_return(node.no)
    return isinstance(node, syntax.Loop) and has_return(node.body)
