"""Functions: a call of a `__device__` function compiles its body anew, as NVIDIA's compiler inlines it."""

from __future__ import annotations

from typing import Any

from lmbook.gpu.errors import SubsetError
from lmbook.gpu.simulator import syntax
from lmbook.gpu.simulator.declarations import DeclarationCompiler, Step
from lmbook.gpu.simulator.machine import Machine
from lmbook.gpu.simulator.types import CType, Pointer
from lmbook.gpu.simulator.values import Bound, Expr, Register, convert, decay, of_place


class FunctionCompiler(DeclarationCompiler):
    """Compiles calls of the source's own functions by writing their bodies in place."""

    def __init__(self, unit: syntax.Unit) -> None:
        super().__init__(unit)
        self.results: list[CType] = []

    def statement(self, node: syntax.Node) -> Step:
        """Compile one statement; `StatementCompiler` does."""
        raise NotImplementedError(f"{type(self).__name__} has no statement method: write one")

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
