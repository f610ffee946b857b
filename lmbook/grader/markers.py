"""The marks around an answer in a solution notebook, and how a cell looks without it.

# BEGIN SOLUTION          the answer; the reader gets `raise NotImplementedError(...)`
# STARTER                 optional, in the block: commented lines that the reader gets instead
# END SOLUTION
name = value  # SOLUTION  the reader gets `name = ...`
"""

from __future__ import annotations

import re
import textwrap

BLOCK = re.compile(
    r"^(?P<indent>[ \t]*)# BEGIN SOLUTION[ \t]*\n(?P<answer>.*?)"
    r"(?:^[ \t]*# STARTER[ \t]*\n(?P<starter>.*?))?^[ \t]*# END SOLUTION[ \t]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
LINE = re.compile(
    r"^(?P<name>\s*[\w.\[\], ]+?)\s*=(?!=)\s*(?P<value>.+?)\s*# SOLUTION[ \t]*$", re.MULTILINE
)
MARKER = re.compile(r"# *(BEGIN|END) +SOLUTION|# *SOLUTION\b|# *STARTER\b|solution-only")


def _starter(match: re.Match[str]) -> str:
    """What stands in the place of an answer."""
    indent, given = match["indent"], match["starter"]
    if given is not None:
        bare = re.sub(r"^([ \t]*)# ?", r"\1", given, flags=re.MULTILINE)
        return re.sub(r"[ \t]+$", "", bare, flags=re.MULTILINE)
    if not indent:
        return "...  # your code here\n"
    return f'{indent}raise NotImplementedError("your code here")\n'


def strip(source: str) -> str:
    """A cell's source without its answer."""
    source = BLOCK.sub(_starter, source)
    return LINE.sub(lambda m: f"{m['name']} = ...", source).rstrip()


def for_nbgrader(source: str) -> str:
    """A cell's source with nbgrader's own marks around the answer."""

    def block(m: re.Match[str]) -> str:
        return f"{m['indent']}### BEGIN SOLUTION\n{m['answer']}{m['indent']}### END SOLUTION\n"

    def line(m: re.Match[str]) -> str:
        whole = f"{m['name'].lstrip(chr(10))} = {m['value']}"
        indent = whole[: len(whole) - len(whole.lstrip())]
        given = f"{m['name'].strip()} = ..."  # what is left must name the answer
        marked = f"{given}\n### BEGIN SOLUTION\n{whole.strip()}\n### END SOLUTION"
        return textwrap.indent(marked, indent)

    return LINE.sub(line, BLOCK.sub(block, source)).rstrip()


def has_starter(source: str) -> bool:
    """Whether the reader starts from given, usually faulty, code."""
    return any(m["starter"] is not None for m in BLOCK.finditer(source))
