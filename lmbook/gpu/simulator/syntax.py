"""The syntax tree. Every node knows its line."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TypeName:
    """A type as written: a name, perhaps of a template parameter, and what stands around it."""

    name: str
    const: bool = False
    pointer: bool = False
    reference: bool = False


# --- expressions


@dataclass
class Node:
    """Something of the source, with its line."""

    line: int


@dataclass
class Number(Node):
    """A literal, as it is written."""

    text: str


@dataclass
class Name(Node):
    """A name of anything."""

    text: str


@dataclass
class Unary(Node):
    """`op operand`."""

    op: str
    operand: Node


@dataclass
class Step(Node):
    """`++i`, `i++`, `--i`, `i--`."""

    op: str
    operand: Node
    postfix: bool


@dataclass
class Binary(Node):
    """`left op right`."""

    op: str
    left: Node
    right: Node


@dataclass
class Assign(Node):
    """`op` is empty for `=`, else the operator before the equals sign."""

    op: str
    target: Node
    value: Node


@dataclass
class Select(Node):
    """`test ? yes : no`."""

    test: Node
    yes: Node
    no: Node


@dataclass
class Cast(Node):
    """`(type)value`, or a reinterpretation of its bits."""

    type: TypeName
    value: Node
    reinterpret: bool = False


@dataclass
class SizeOf(Node):
    """`sizeof(type)`."""

    type: TypeName


@dataclass
class Index(Node):
    """`base[index]`."""

    base: Node
    index: Node


@dataclass
class Member(Node):
    """`base.field`."""

    base: Node
    field: str


@dataclass
class Call(Node):
    """`name<template>(arguments)`."""

    name: str
    arguments: list[Node]
    template: list[Node | TypeName] = field(default_factory=list)


@dataclass
class Comma(Node):
    """`first, second`."""

    first: Node
    second: Node


# --- statements


@dataclass
class Block(Node):
    """Statements, with a scope of their own or in that around them."""

    body: list[Node]
    scope: bool = True


@dataclass
class Declare(Node):
    """A variable or an array, with its first value or elements."""

    type: TypeName
    name: str
    dims: list[Node | None]
    value: Node | None = None
    elements: list[Node] | None = None
    shared: bool = False
    dynamic: bool = False


@dataclass
class Evaluate(Node):
    """An expression as a statement."""

    value: Node


@dataclass
class If(Node):
    """`if (test) yes else no`."""

    test: Node
    yes: Node
    no: Node | None


@dataclass
class Loop(Node):
    """`for`, `while` and `do`: the last has `test_first` False."""

    start: Node | None
    test: Node | None
    step: Node | None
    body: Node
    test_first: bool = True


@dataclass
class Return(Node):
    """`return value`."""

    value: Node | None


@dataclass
class Break(Node):
    """`break`."""

    pass


@dataclass
class Continue(Node):
    """`continue`."""

    pass


# --- the file


@dataclass
class Parameter:
    """A parameter of a function."""

    type: TypeName
    name: str


@dataclass
class Function:
    """A function or a kernel."""

    line: int
    name: str
    is_kernel: bool
    result: TypeName
    parameters: list[Parameter]
    body: Block
    template: list[tuple[str, str]]  # ("int", "TILE") or ("typename", "T")
    max_threads: int | None = None


@dataclass
class Unit:
    """A parsed source: its functions by name, and constants of the whole file."""

    functions: dict[str, Function]
    constants: list[Declare]
