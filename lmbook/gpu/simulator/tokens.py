"""From source text to tokens: comments go, macros are expanded, every token keeps its line."""

from __future__ import annotations

import re
from typing import NamedTuple

from lmbook.gpu.errors import SubsetError


class Token(NamedTuple):
    """`kind` is name, number, string, op or end."""

    kind: str
    text: str
    line: int


class Macro(NamedTuple):
    """`#define name(parameters) body`; `parameters` is None where there are no parentheses."""

    parameters: list[str] | None
    body: list[Token]


_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+ | //[^\n]* | /\*.*?\*/)
  | (?P<number>0[xX][0-9a-fA-F]+[uUlL]* | (\d+\.\d*|\.\d+|\d+)([eE][+-]?\d+)?[fFuUlLhH]*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<string>"[^"\n]*")
  | (?P<op><<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|[-+*/%&|^]=|->|::|[-+*/%<>=!&|^~?:;,.(){}\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
_DEPTH = 32


def scan(text: str, line: int = 1) -> list[Token]:
    """Tokens of `text`, whose first line has the number `line`."""
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise SubsetError(line, f"the character {text[at]!r} does not belong here")
        kind = str(found.lastgroup)
        if kind != "space":
            tokens.append(Token(kind, found.group(), line))
        line += found.group().count("\n")
        at = found.end()
    return tokens


def directive(text: str, line: int, macros: dict[str, Macro]) -> None:
    """Carry out one line that starts with `#`."""
    found = re.match(r"\s*#\s*(\w*)\s*(.*)", text, re.DOTALL)
    assert found is not None
    word, rest = found.groups()
    if word in ("include", "pragma"):
        return  # `#pragma unroll` changes speed, not meaning; headers are built in
    if word == "undef":
        macros.pop(rest.strip(), None)
    elif word == "define":
        parts = re.match(r"(\w+)(\(([^)]*)\))?\s*(.*)", rest, re.DOTALL)
        if parts is None:
            raise SubsetError(line, "#define needs a name")
        names = [p.strip() for p in parts[3].split(",") if p.strip()] if parts[2] else None
        macros[parts[1]] = Macro(names, scan(parts[4], line))
    else:
        raise SubsetError(line, f"#{word} is outside the subset", "write two kernels or a template")


def tokenize(source: str) -> list[Token]:
    """Tokens of a translation unit after the preprocessor, closed by one of kind `end`."""
    source = re.sub(r"/\*.*?\*/", lambda c: "\n" * c.group().count("\n") or " ", source, flags=re.S)
    macros: dict[str, Macro] = {}
    out: list[Token] = []
    pending: list[Token] = []
    lines = source.split("\n")
    number = 0
    while number < len(lines):
        text, first = lines[number], number + 1
        if text.lstrip().startswith("#"):
            out += expand(pending, macros)
            pending = []
            while text.rstrip().endswith("\\") and number + 1 < len(lines):
                number += 1
                text = text.rstrip()[:-1] + " " + lines[number]
            directive(text, first, macros)
        else:
            pending += scan(text, first)
        number += 1
    return [*out, *expand(pending, macros), Token("end", "", len(lines))]


def expand(tokens: list[Token], macros: dict[str, Macro], depth: int = 0) -> list[Token]:
    """Replace macros by their bodies; what comes from a macro counts for the line of its use."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        macro = macros.get(token.text) if token.kind == "name" else None
        if macro is None:
            out.append(token)
            continue
        if depth == _DEPTH:
            raise SubsetError(token.line, f"the macro {token.text} expands to itself")
        body = [part._replace(line=token.line) for part in macro.body]
        if macro.parameters is not None:
            if at >= len(tokens) or tokens[at].text != "(":
                out.append(token)  # the bare name of a macro with parameters is not a use
                continue
            arguments, at = _arguments(tokens, at)
            if len(arguments) != len(macro.parameters):
                raise SubsetError(
                    token.line, f"{token.text} takes {len(macro.parameters)} arguments"
                )
            given = dict(zip(macro.parameters, arguments))
            body = [t for part in body for t in given.get(part.text, [part])]
        out += expand(body, macros, depth + 1)
    return out


def _arguments(tokens: list[Token], at: int) -> tuple[list[list[Token]], int]:
    """Arguments of the macro call whose parenthesis opens at `at`, and where it ends."""
    start, depth = tokens[at].line, 0
    arguments: list[list[Token]] = [[]]
    while at < len(tokens):
        token = tokens[at]
        at += 1
        depth += (token.text in "([") - (token.text in ")]") if token.kind == "op" else 0
        if depth == 0:
            return ([] if arguments == [[]] else arguments), at
        if token.text == "," and depth == 1:
            arguments.append([])
        elif depth > 1 or token.text != "(":
            arguments[-1].append(token)
    raise SubsetError(start, "the parenthesis of a macro call is not closed")
