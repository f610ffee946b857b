"""Expressions of the subset, by precedence climbing."""

from __future__ import annotations

from lmbook.gpu.errors import SubsetError
from lmbook.gpu.simulator import syntax as s
from lmbook.gpu.simulator.tokens import Token
from lmbook.gpu.simulator.types import NAMES

BINARY = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7,
    "<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}  # fmt: skip
ASSIGN = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
QUALIFIERS = {"const", "volatile", "__restrict__", "restrict", "inline", "static", "constexpr",
              "__forceinline__", "__inline__", "__noinline__", "register"}  # fmt: skip
CASTS = {"reinterpret_cast", "static_cast", "const_cast"}
REFUSED = {
    "switch": "write if / else if",
    "goto": "use loops, break and continue",
    "struct": "use arrays, or vector types such as float4",
    "class": "use arrays, or vector types such as float4",
    "union": "use __float_as_int and __int_as_float",
    "enum": "use constexpr int",
    "auto": "write the type",
    "typedef": "write the type, or use #define",
    "using": "write the type, or use #define",
    "namespace": "put the functions at the top of the file",
    "new": "declare an array of fixed size",
    "delete": "declare an array of fixed size",
    "malloc": "declare an array of fixed size",
    "printf": "store what you want to see in an array",
    "asm": "use the intrinsic function",
    "__constant__": "pass a `const T*` to the kernel",
    "dim3": "grid and block are arguments of the launch",
    "try": "kernels have no exceptions",
    "throw": "kernels have no exceptions",
    "int8_t": "write signed char",  # these names need a header that the run-time compiler lacks
    "uint8_t": "write unsigned char",
    "int16_t": "write short",
    "uint16_t": "write unsigned short",
    "int32_t": "write int",
    "uint32_t": "write unsigned int",
    "int64_t": "write long long",
    "uint64_t": "write unsigned long long",
}


class ExpressionParser:
    """Walks over tokens; each method takes what it names and leaves the rest."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.at = tokens, 0
        self.types: set[str] = {
            *NAMES,
            "long",
        }  # and the type parameters of the template being read
        self.templates: set[str] = set()  # functions whose name may be followed by `<`

    # --- tokens

    @property
    def token(self) -> Token:
        """The token that comes next."""
        return self.tokens[self.at]

    def peek(self, ahead: int = 1) -> Token:
        """The token `ahead` places further on, the last one at the end."""
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        """The next token, which is then behind."""
        token = self.token
        if token.kind == "end":
            raise SubsetError(token.line, "the source ends too early; is a brace missing?")
        self.at += 1
        return token

    def accept(self, text: str) -> bool:
        """Whether the next token is this text; if so it is taken."""
        if self.token.text == text and self.token.kind in ("op", "name"):
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> int:
        """Take the token `text`; return its line."""
        token = self.token
        if not self.accept(text):
            line = self.tokens[self.at - 1].line if text == ";" and self.at else token.line
            raise SubsetError(line, f"expected {text!r}, found {token.text or 'the end'!r}")
        return token.line

    def identifier(self) -> Token:
        """Take a name; raises `SubsetError` where there is none."""
        self.refuse()
        token = self.take()
        if token.kind != "name":
            raise SubsetError(token.line, f"expected a name, found {token.text!r}")
        return token

    def refuse(self) -> None:
        """Stop at a word that is outside the subset, and say what to write."""
        word = self.token.text
        if self.token.kind == "name" and word in REFUSED:
            raise SubsetError(self.token.line, f"`{word}` is outside the subset", REFUSED[word])

    # --- types

    def is_type(self, ahead: int = 0) -> bool:
        """Whether a type begins at a token."""
        token = self.peek(ahead)
        return token.kind == "name" and (token.text in self.types or token.text in QUALIFIERS)

    def type_name(self) -> s.TypeName:
        """A type with its qualifiers, `*` and `&`."""
        self.refuse()
        words, const = [], False
        while self.is_type():
            word = self.take().text
            const |= word in ("const", "constexpr")
            if word not in QUALIFIERS:
                words.append(word)
        if not words:
            raise SubsetError(self.token.line, f"{self.token.text!r} is not a type of the subset")
        pointer, reference = self._declarator()
        return s.TypeName(_one_word(words, self.token.line), const, pointer, reference)

    def _declarator(self) -> tuple[bool, bool]:
        pointer = reference = False
        while self.token.text in ("*", "&") or self.token.text in QUALIFIERS:
            token = self.take()
            if token.text == "*" and pointer:
                raise SubsetError(
                    token.line, "pointers to pointers are outside the subset", "use one flat array"
                )
            pointer |= token.text == "*"
            reference |= token.text == "&"
        return pointer, reference

    # --- expressions, loosest first

    def expression(self) -> s.Node:
        """An expression with commas."""
        e = self.assignment()
        while self.token.text == "," and self.token.kind == "op":
            line = self.take().line
            e = s.Comma(line, e, self.assignment())
        return e

    def assignment(self) -> s.Node:
        """`a = b`, `a op= b`, or what binds closer."""
        target = self.select()
        if self.token.kind == "op" and self.token.text in ASSIGN:
            op = self.take()
            return s.Assign(op.line, op.text[:-1], target, self.assignment())
        return target

    def select(self) -> s.Node:
        """`test ? yes : no`, or what binds closer."""
        test = self.binary(1)
        if self.token.text != "?":
            return test
        line = self.take().line
        yes = self.assignment()
        self.expect(":")
        return s.Select(line, test, yes, self.assignment())

    def binary(self, least: int) -> s.Node:
        """Binary operators from a level of precedence on, the left ones first."""
        left = self.unary()
        while self.token.kind == "op" and BINARY.get(self.token.text, 0) >= least:
            op = self.take()
            left = s.Binary(op.line, op.text, left, self.binary(BINARY[op.text] + 1))
        return left

    def unary(self) -> s.Node:
        """Operators before an operand, casts, `sizeof`."""
        token = self.token
        if token.kind == "op":
            if token.text in ("++", "--"):
                self.take()
                return s.Step(token.line, token.text[0], self.unary(), postfix=False)
            if token.text in "+-!~*&":
                self.take()
                return s.Unary(token.line, token.text, self.unary())
            if token.text == "(" and self.is_type(1):
                self.take()
                type_ = self.type_name()
                self.expect(")")
                return s.Cast(token.line, type_, self.unary())
        return self.postfix(self.primary())

    def primary(self) -> s.Node:
        """A number, a name, a call, or an expression in parentheses."""
        self.refuse()
        token = self.take()
        line = token.line
        if token.kind == "number":
            return s.Number(line, token.text)
        if token.text == "(":
            e = self.expression()
            self.expect(")")
            return e
        if token.text == "sizeof":
            self.expect("(")
            type_ = self.type_name()
            self.expect(")")
            return s.SizeOf(line, type_)
        if token.text in CASTS:
            self.expect("<")
            type_ = self.type_name()
            self.expect(">")
            self.expect("(")
            e = self.expression()
            self.expect(")")
            return s.Cast(line, type_, e, token.text == "reinterpret_cast")
        if token.kind == "name" and token.text in self.types and self.token.text == "(":
            self.take()
            e = self.expression()
            self.expect(")")
            return s.Cast(line, s.TypeName(token.text), e)
        if token.kind == "name" and token.text not in self.types:
            return self._name(token)
        raise SubsetError(line, f"{token.text!r} does not begin an expression")

    def _name(self, token: Token) -> s.Node:
        template: list[s.Node | s.TypeName] = []
        if token.text in self.templates and self.accept("<"):
            while not self.accept(">"):
                template.append(self.type_name() if self.is_type() else self.binary(9))
                if self.token.text != ">":
                    self.expect(",")
        if not self.accept("("):
            return s.Name(token.line, token.text)
        arguments: list[s.Node] = []
        while not self.accept(")"):
            arguments.append(self.assignment())
            if self.token.text != ")":
                self.expect(",")
        return s.Call(token.line, token.text, arguments, template)

    def postfix(self, e: s.Node) -> s.Node:
        """Indices, members and steps after an operand."""
        while self.token.kind == "op":
            token = self.token
            if self.accept("["):
                e = s.Index(token.line, e, self.expression())
                self.expect("]")
            elif self.accept("."):
                e = s.Member(token.line, e, self.identifier().text)
            elif token.text in ("++", "--"):
                self.take()
                e = s.Step(token.line, token.text[0], e, postfix=True)
            elif token.text == "->":
                raise SubsetError(
                    token.line, "`->` is outside the subset", "write (*p).x or p[0].x"
                )
            else:
                break
        return e


def _one_word(words: list[str], line: int) -> str:
    """`unsigned long long int` and the like as one name of `types.NAMES`."""
    if words.count("long") == 1:
        raise SubsetError(
            line, "`long` has 32 bits on Windows, 64 on Linux", "write int or long long"
        )
    rest = [w for w in words if w not in ("int", "signed", "unsigned")]
    base = " ".join(rest) or "int"
    if "unsigned" not in words:
        return base
    return "unsigned" if base == "int" else f"unsigned {base}"
