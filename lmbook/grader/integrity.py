"""Notice when a submission replaces what grades it: functions of lmbook, NumPy or Python.

Two ways, which complete each other. `snapshot` and `changes` compare what there is before the
submission runs with what there is after it, and after every test. `lock` refuses `numpy.abs = ...` as
it happens, so that a function cannot be replaced for a moment and put back.
"""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOTS = ("lmbook", "numpy", "builtins", "math", "os", "sys", "json", "types", "contextlib", "io")
_MEMBERS = (types.FunctionType, classmethod, staticmethod, property)
_OWN = ("sys.stdin", "sys.stdout", "sys.stderr", "sys.displayhook", "sys.last_value")
_LOCKED = ("lmbook", "numpy", "builtins", "math")
_builtin_names = frozenset(vars(builtins))
_package = str(Path(__file__).resolve().parents[1])


def _belongs(name: str) -> bool:
    return name.partition(".")[0] in ROOTS


def _mark(value: Any) -> Any:
    """What identifies a callable: itself and, for a Python function, what it runs.

    The objects are kept, not their addresses, so that a new one cannot come to lie at the old place.
    """
    if isinstance(value, types.FunctionType):
        defaults = value.__kwdefaults__
        return (value, value.__code__, value.__defaults__, defaults and tuple(defaults.items()))
    if isinstance(value, property):
        return (value, _mark(value.fget), _mark(value.fset))
    if isinstance(value, (classmethod, staticmethod)):
        return (value, _mark(value.__func__))
    variants = getattr(value, "variants", None)  # a kernel of lmbook.backend
    if isinstance(variants, dict):
        run = getattr(value, "run", None)
        others = [f for name, f in variants.items() if name != "reference"]
        foreign = [f for f in others if not _of_the_package(f)]
        if run is not None and not any(run is f for f in variants.values()):
            foreign.append(run)
        return (value, _mark(variants.get("reference")), tuple(foreign))
    return (value,)


def _of_the_package(function: Any) -> bool:
    """Whether a function, compiled or not, is written in lmbook."""
    if type(function).__module__.startswith("numba."):
        function = function.py_func
    return isinstance(function, types.FunctionType) and function.__code__.co_filename.startswith(
        _package
    )


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return a is b or (len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b)))
    return a is b


def snapshot(functions: Iterable[Callable[..., Any]] = ()) -> dict[Any, Any]:
    """Every module, function, class and member of the modules that matter, by dotted name.

    `functions` are watched too, wherever they live.
    """
    found: dict[Any, Any] = {f: _mark(f) for f in functions}
    for name, module in list(sys.modules.items()):
        if module is None or not _belongs(name):
            continue
        found[name] = (module,)
        for key, value in list(vars(module).items()):
            label = f"{name}.{key}"
            if label in _OWN:
                continue
            if callable(value):
                found[label] = _mark(value)
            elif isinstance(value, dict) and name.startswith("lmbook") and key != "__builtins__":
                for k, v in list(value.items()):
                    if callable(v):
                        found[f"{label}[{k!r}]"] = _mark(v)
            if isinstance(value, type) and value.__flags__ & (1 << 9):  # not a built-in type
                for k, member in list(vars(value).items()):
                    if isinstance(member, _MEMBERS):
                        found[f"{label}.{k}"] = _mark(member)
    return found


def changes(before: dict[Any, Any]) -> list[str]:
    """Names that were replaced, removed, or added such that they hide a built-in."""
    now = snapshot(key for key in before if not isinstance(key, str))
    found = []
    for name, mark in before.items():
        if not _same(now.get(name), mark) and not _lazy(name, now):
            found.append(name if isinstance(name, str) else f"the test {name.__name__}")
    for name in now.keys() - before.keys():
        module, _, last = name.rpartition(".")
        if (
            module in before
            and module in sys.modules
            and last in _builtin_names
            and module != "builtins"
        ):
            found.append(name)
        elif last.startswith("__") and module in before and module not in sys.modules:
            found.append(name)  # such as a new __getattribute__ of a class
    return sorted(found)


def lock(refuse: Callable[[str], None]) -> None:
    """Call `refuse(name)` whenever a function or class of a module that matters is to be replaced."""

    class Locked(types.ModuleType):
        def __setattr__(self, name: str, value: Any) -> None:
            old = vars(self).get(name)
            hides = name in _builtin_names and name not in vars(self) and name[:2] != "__"
            if name == "__class__" or hides or (callable(old) and value is not old):
                refuse(f"{self.__name__}.{name}")
            super().__setattr__(name, value)

        def __delattr__(self, name: str) -> None:
            if callable(vars(self).get(name)):
                refuse(f"{self.__name__}.{name}")
            super().__delattr__(name)

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _LOCKED and type(module) is types.ModuleType:
            module.__class__ = Locked


def _lazy(name: Any, now: dict[Any, Any]) -> bool:
    """A private hook of the package that settles itself on first use, such as a chosen backend."""
    return name == "lmbook.backend.table._settle" and name in now
