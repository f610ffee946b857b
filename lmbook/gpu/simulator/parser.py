"""Statements, functions and files of the subset of CUDA C."""

from __future__ import annotations

from lmbook.gpu.errors import SubsetError
from lmbook.gpu.simulator import syntax as s
from lmbook.gpu.simulator.parse_expressions import ExpressionParser
from lmbook.gpu.simulator.tokens import tokenize


def parse(source: str) -> s.Unit:
    """The syntax tree of a source. Raises `SubsetError` with the line and the way out."""
    return Parser(tokenize(source)).unit()


class Parser(ExpressionParser):
    # --- the file

    """Parses statements, functions and the file."""

    def unit(self) -> s.Unit:
        """The whole file: constants, types and functions."""
        functions: dict[str, s.Function] = {}
        constants: list[s.Declare] = []
        while self.token.kind != "end":
            if self.accept(";"):
                continue
            if self.accept("extern"):
                if self.take().text != '"C"':
                    raise SubsetError(self.token.line, 'expected extern "C"')
                if self.accept("{"):
                    raise SubsetError(
                        self.token.line, 'extern "C" { } is outside the subset',
                        'write extern "C" before each kernel',
                    )  # fmt: skip
            item = self.top_level()
            if isinstance(item, s.Function):
                if item.name in functions:
                    raise SubsetError(
                        item.line, f"two functions are named {item.name}", "use two names"
                    )
                functions[item.name] = item
            else:
                constants += item
        return s.Unit(functions, constants)

    def top_level(self) -> s.Function | list[s.Declare]:
        """One function, or constants such as `constexpr int TILE = 32;`."""
        line = self.token.line
        template = self.template_parameters()
        words: set[str] = set()
        bounds = None
        while True:
            if self.token.text in ("__global__", "__device__", "__host__"):
                words.add(self.take().text)
            elif self.token.text == "__launch_bounds__":
                bounds = self.launch_bounds()
            elif self.token.text in ("__forceinline__", "inline", "static", "__noinline__"):
                self.take()
            else:
                break
        type_ = self.type_name()
        if self.token.text == "__launch_bounds__":
            bounds = self.launch_bounds()
        name = self.identifier()
        if self.token.text != "(":
            self.at -= 1
            if not type_.const:
                raise SubsetError(
                    name.line, f"the global variable {name.text} is outside the subset",
                    "use constexpr, or pass it to the kernel",
                )  # fmt: skip
            return self.declarators(type_)
        if not words & {"__global__", "__device__"}:
            raise SubsetError(
                name.line, f"{name.text} is a host function", "put __device__ before it"
            )
        if template:
            self.templates.add(name.text)
        parameters = self.parameters()
        body = self.block()
        self.types -= {n for kind, n in template if kind == "typename"}
        return s.Function(
            line, name.text, "__global__" in words, type_, parameters, body, template, bounds
        )

    def template_parameters(self) -> list[tuple[str, str]]:
        """The parameters of `template <...>`, as (kind, name); none where there is no template."""
        if not self.accept("template"):
            return []
        self.expect("<")
        found = []
        while not self.accept(">"):
            token = self.take()
            if token.text in ("typename", "class"):
                name = self.identifier().text
                self.types.add(name)
                found.append(("typename", name))
            elif token.text in ("int", "bool", "unsigned"):
                found.append(("int", self.identifier().text))
            else:
                raise SubsetError(
                    token.line, f"a template parameter of kind {token.text!r} is outside the subset",
                    "use int, bool or typename",
                )  # fmt: skip
            if self.token.text != ">":
                self.expect(",")
        return found

    def launch_bounds(self) -> int:
        """The number in `__launch_bounds__(n)`."""
        self.take()
        self.expect("(")
        token = self.take()
        if not token.text.isdigit():
            raise SubsetError(
                token.line, "__launch_bounds__ needs a number", "use a macro or digits"
            )
        while not self.accept(")"):
            self.take()
        return int(token.text)

    def parameters(self) -> list[s.Parameter]:
        """The parameters of a function, in parentheses."""
        self.expect("(")
        found: list[s.Parameter] = []
        while not self.accept(")"):
            type_ = self.type_name()
            name = self.identifier().text
            if self.accept("["):
                if self.token.text != "]":
                    self.expression()
                self.expect("]")
                if self.token.text == "[":
                    raise SubsetError(
                        self.token.line, f"the parameter {name} has two dimensions",
                        "pass a pointer and compute the index",
                    )  # fmt: skip
                type_ = s.TypeName(type_.name, type_.const, True)
            found.append(s.Parameter(type_, name))
            if self.token.text != ")":
                self.expect(",")
        return found

    # --- statements

    def block(self) -> s.Block:
        """Statements in braces."""
        line = self.expect("{")
        body = []
        while not self.accept("}"):
            body.append(self.statement())
        return s.Block(line, body)

    def statement(self) -> s.Node:
        """One statement; raises `SubsetError` outside the subset."""
        self.refuse()
        token = self.token
        line, word = token.line, token.text
        if word == "{":
            return self.block()
        if word in ("extern", "__shared__") or self.is_declaration():
            return s.Block(line, list(self.declaration()), scope=False)
        if self.accept(";"):
            return s.Block(line, [])
        if self.accept("if"):
            self.expect("(")
            test = self.expression()
            self.expect(")")
            yes = self.statement()
            return s.If(line, test, yes, self.statement() if self.accept("else") else None)
        if word in ("for", "while", "do"):
            return self.loop()
        if self.accept("return"):
            value = None if self.token.text == ";" else self.expression()
            self.expect(";")
            return s.Return(line, value)
        if word in ("break", "continue"):
            self.take()
            self.expect(";")
            return s.Break(line) if word == "break" else s.Continue(line)
        e = self.expression()
        self.expect(";")
        return s.Evaluate(line, e)

    def is_declaration(self) -> bool:
        """Whether a type begins here that is not the start of `float(x)`."""
        return self.is_type() and self.peek().text != "("

    def loop(self) -> s.Loop:
        """`for`, `while` or `do`."""
        line, word = self.token.line, self.take().text
        start: s.Node | None = None
        test: s.Node | None = None
        step: s.Node | None = None
        if word == "do":
            body = self.statement()
            self.expect("while")
        self.expect("(")
        if word == "for":
            if self.is_declaration():
                start = s.Block(line, list(self.declaration()), scope=False)
            else:
                start = None if self.token.text == ";" else self.expression()
                self.expect(";")
            test = None if self.token.text == ";" else self.expression()
            self.expect(";")
            step = None if self.token.text == ")" else self.expression()
        else:
            test = self.expression()
        self.expect(")")
        if word == "do":
            self.expect(";")
        else:
            body = self.statement()
        return s.Loop(line, start, test, step, body, word != "do")

    def declaration(self) -> list[s.Declare]:
        """The variables of one declaration."""
        dynamic = self.accept("extern")
        shared = self.accept("__shared__")
        if dynamic and not shared:
            raise SubsetError(self.token.line, "expected __shared__ after extern")
        if self.token.text == "__align__":
            self.take(), self.expect("("), self.take(), self.expect(")")
        return self.declarators(self.type_name(), shared, dynamic)

    def declarators(
        self, type_: s.TypeName, shared: bool = False, dynamic: bool = False
    ) -> list[s.Declare]:
        """The names that follow a type up to the semicolon."""
        found: list[s.Declare] = []
        while True:
            if found:
                pointer, reference = self._declarator()
                type_ = s.TypeName(type_.name, type_.const, pointer, reference)
            name = self.identifier()
            declared = s.Declare(name.line, type_, name.text, [], shared=shared, dynamic=dynamic)
            while self.accept("["):
                declared.dims.append(None if self.token.text == "]" else self.expression())
                self.expect("]")
            if self.accept("="):
                if self.accept("{"):
                    declared.elements = []
                    while not self.accept("}"):
                        declared.elements.append(self.assignment())
                        if self.token.text != "}":
                            self.expect(",")
                else:
                    declared.value = self.assignment()
            found.append(declared)
            if not self.accept(","):
                break
        self.expect(";")
        return found
