"""The API reference: one directive shows a whole room of the package, from its docstrings.

```{room} nn
```

A room's modules become sections in reading order. Docstrings are written as plain text with
`code` in single backticks and indented formulas; here they are turned into reStructuredText that
docutils reads without complaint, so that an author need not know its rules.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]

# Headings that Napoleon understands; the indented block below one is left to it.
HEADINGS = re.compile(
    r"^(Args|Arguments|Attributes|Example|Examples|Note|Notes|Raises|References|Returns|"
    r"Warning|Yields|Parameters|See Also):\s*$"
)
CODE = re.compile(r"(``.+?``|`[^`\n]+`)")


class Room(SphinxDirective):
    """Sections for every public module of one room of the package."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        room = importlib.import_module(f"lmbook.{self.arguments[0]}")
        for path in Path(room.__file__ or "").parent.rglob(
            "*.py"
        ):  # Sphinx takes a folder for changed
            self.env.note_dependency(str(path))
        return [self.section(module) for module in public_modules(room)]

    def section(self, module: ModuleType) -> nodes.section:
        title = module.__name__
        anchor = nodes.make_id(f"module-page-{title}")
        section = nodes.section(ids=[anchor], names=[title.lower()])
        section += nodes.title("", "", nodes.literal(text=title))
        lines = [
            "```{eval-rst}",
            f".. automodule:: {title}",
            "   :members:",
            "   :show-inheritance:",
        ]
        self.state.nested_parse(StringList([*lines, "```"], source=title), 0, section)
        return section


def public_modules(room: ModuleType) -> Iterator[ModuleType]:
    """The modules of a room that define something public, the room itself first."""
    if defines_public(room):
        yield room
    names = [
        m.name for m in pkgutil.walk_packages(getattr(room, "__path__", []), room.__name__ + ".")
    ]
    for name in sorted(names):
        if any(part.startswith("_") for part in name.split(".")):
            continue
        try:
            module = importlib.import_module(name)
        except ImportError:  # needs an extra that is not installed, such as numba
            continue
        if defines_public(module):
            yield module


def defines_public(module: ModuleType) -> bool:
    """Whether the module's own source holds a documented public function or class."""
    return any(
        not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
        and value.__doc__
        for name, value in vars(module).items()
    )


def plain_to_rst(lines: list[str]) -> list[str]:
    """A docstring's plain text as safe reStructuredText: code kept, markup escaped, blocks literal."""
    out: list[str] = []
    indents = [len(line) - len(line.lstrip()) for line in lines]
    i = 0
    while i < len(lines):
        line = lines[i]
        if HEADINGS.match(line):  # Napoleon's block: keep the layout, escape the words
            if out and out[-1]:
                out.append("")
            out.append(line)
            i += 1
            while i < len(lines) and (not lines[i].strip() or indents[i] > 0):
                out.append(escape(lines[i]))
                i += 1
            continue
        if line.strip() and indents[i] > 0 and not is_list_item(lines, i):
            if out and out[-1]:
                out.append("")
            out += ["::", ""]
            while i < len(lines) and (not lines[i].strip() or indents[i] > 0):
                out.append("    " + lines[i])
                i += 1
            out.append("")
            continue
        if line.startswith(">>>"):  # an example at the margin ends at a blank line
            if out and out[-1]:
                out.append("")
            while i < len(lines) and lines[i].strip():
                out.append(lines[i])
                i += 1
            continue
        starts_list = (
            line.startswith("- ") and out and out[-1] and not out[-1].startswith(("- ", "  "))
        )
        if starts_list or (out and out[-1].startswith(("- ", "  ")) and line[:1].strip(" -")):
            out.append("")
        out.append(escape(line))
        i += 1
    return out


def is_list_item(lines: list[str], i: int) -> bool:
    """An indented line that continues a list item stays in it."""
    for previous in reversed(lines[:i]):
        if not previous.strip():
            return False
        if previous.startswith("- "):
            return True
        if not previous.startswith(" "):
            return False
    return False


def escape(line: str) -> str:
    """Escape what docutils would read as markup; single backticks become literals."""
    line = line.replace("::", ":\\:") if line.rstrip().endswith("::") else line
    parts = CODE.split(line)
    for i, part in enumerate(parts):
        if i % 2:
            parts[i] = "``" + part.strip("`") + "``"
            if i + 1 < len(parts) and re.match(r"\w", parts[i + 1]):
                parts[i] += "\\ "
        else:
            part = part.replace("\\", "\\\\")
            parts[i] = re.sub(r"([*|`])|(?<=\w)_(?!\w)", lambda m: "\\" + m[0], part)
    return "".join(parts)


def rewrite(
    _app: Sphinx, _what: str, _name: str, obj: Any, _options: Any, lines: list[str]
) -> None:
    """autodoc's hook, before Napoleon's."""
    if str(getattr(obj, "__module__", None) or getattr(obj, "__name__", "")).startswith("lmbook"):
        lines[:] = plain_to_rst(lines)


def source_address(config: Config, domain: str, info: dict[str, str]) -> str | None:
    """Where the repository shows the lines of an object."""
    if domain != "py" or not info["module"].startswith("lmbook"):
        return None
    found: Any = importlib.import_module(info["module"])
    for name in info["fullname"].split("."):
        found = getattr(found, name, None)
    found = (
        inspect.unwrap(found.fget if isinstance(found, property) else found)
        if found is not None
        else None
    )
    try:
        lines, first = inspect.getsourcelines(found)
        path = Path(inspect.getsourcefile(found) or "").resolve().relative_to(ROOT)
    except (TypeError, OSError, ValueError):  # a value, or made at run time
        return None
    options = config.html_theme_options
    base = f"{options['repository_url'].rstrip('/')}/blob/{options['repository_branch']}"
    return f"{base}/{path.as_posix()}#L{first}-L{first + len(lines) - 1}"


def link_source(_app: Sphinx, config: Config) -> None:
    config.linkcode_resolve = lambda domain, info: source_address(config, domain, info)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("room", Room)
    app.connect("config-inited", link_source)
    app.connect("autodoc-process-docstring", rewrite, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
