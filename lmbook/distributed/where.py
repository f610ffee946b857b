"""Lines of the reader's program, for messages: where a rank stands, where a message was sent."""

import linecache
import os
import sys
import traceback
from types import CodeType, FrameType, TracebackType

HOME = os.path.dirname(os.path.abspath(__file__)) + os.sep
Line = tuple[str, int]
"""File and number."""
Lines = tuple[Line, ...]
"""The line that communicates and, where it is another, the line of the rank function."""


Spot = tuple[CodeType, int]
"""A place as a running frame knows it, to be made a line only if someone asks."""
_inside: dict[str, bool] = {}
"""Whether a file belongs to this room."""


def user_spot() -> Spot | None:
    """The place outside this room that called into it. Asked at every message, so it is quick."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        inside = _inside.get(code.co_filename)
        if inside is None:
            inside = _inside[code.co_filename] = code.co_filename.startswith(HOME)
        if not inside:
            return code, frame.f_lasti
        frame = frame.f_back
    return None


def line_of(spot: Spot) -> Line:
    """The file and line of a place."""
    code, at = spot
    for first, last, number in code.co_lines():
        if first <= at < last and number is not None:
            return code.co_filename, number
    return code.co_filename, code.co_firstlineno


def _outside(lines: list[Line]) -> Lines:
    """Of lines from the inside out: the first one outside this room, and the last before the room again."""
    found: list[Line] = []
    for line in lines:
        if line[0].startswith(HOME):
            if found:
                break
        elif not line[0].startswith("<"):
            found.append(line)
    return (found[0], found[-1]) if found and found[0] != found[-1] else tuple(found[:1])


def of_frame(frame: FrameType | None) -> Lines:
    """Where a thread stands, from its innermost frame."""
    lines = []
    while frame is not None:
        lines.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return _outside(lines)


def of_traceback(tb: TracebackType | None) -> Lines:
    """Where an exception was raised."""
    lines = [(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(tb)]
    return _outside(lines[::-1])


def tell_line(line: Line) -> str:
    """`line 12 of train.py: x = comm.recv(1)`."""
    name, number = line
    place = "the notebook cell" if "ipykernel" in name else os.path.basename(name)
    text = linecache.getline(name, number).strip()
    return f"line {number} of {place}" + (f": {text}" if text else "")


def tell(lines: Lines) -> str:
    """Both lines in words."""
    return (
        ", called from ".join(map(tell_line, lines)) if lines else "a place before its first line"
    )
