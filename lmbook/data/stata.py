"""Read the numbers of a Stata file (.dta, releases 117 to 119), as statistical packages share them.

Such a file is a sequence of tagged parts; the part `<map>` says where each of them begins. Unlike
a pickle, it is data and nothing else: reading it runs no code. Format: StataCorp, "Description of
.dta file format 118" (Stata's help page `dta`).
"""

import struct

import numpy as np

from lmbook.data.errors import DataError

_NUMBERS = {65526: "f8", 65527: "f4", 65528: "i4", 65529: "i2", 65530: "i1"}
_NAME = {117: 33, 118: 129, 119: 129}  # bytes of a variable's name
_LARGEST = {"f8": 2.0**1023, "f4": 2.0**127, "i4": 2147483620, "i2": 32740, "i1": 100}
# parts in the order of the map
_TYPES, _NAMES, _SORTED, _LABEL_NAMES, _DATA, _LABELS = 2, 3, 4, 6, 9, 11


def read_stata(content: bytes) -> dict[str, np.ndarray]:
    """Columns of numbers by name, float64, NaN where Stata has a missing value.

    A column with value labels gives the labels where all of them are numbers, else its codes.
    Columns of text are left out. Not such a file, or a damaged one: `DataError`.
    """
    try:
        return _read(content)
    except (struct.error, ValueError, IndexError) as error:
        raise DataError(f"read_stata: not a Stata file of release 117 to 119 ({error})") from error


def _read(content: bytes) -> dict[str, np.ndarray]:
    release = int(_between(content, b"release"))
    if release not in _NAME:
        raise ValueError(f"release {release}")
    order = "<" if _between(content, b"byteorder") == b"LSF" else ">"
    columns = int.from_bytes(_between(content, b"K"), "little" if order == "<" else "big")
    rows = int.from_bytes(_between(content, b"N"), "little" if order == "<" else "big")
    start = content.index(b"<map>") + 5
    places = struct.unpack_from(f"{order}14Q", content, start)
    types = np.frombuffer(
        content, f"{order}u2", columns, places[_TYPES] + len("<variable_types>")
    ).tolist()
    names = _strings(content, places[_NAMES] + len("<varnames>"), columns, _NAME[release])
    labelled = _strings(
        content, places[_LABEL_NAMES] + len("<value_label_names>"), columns, _NAME[release]
    )
    row = np.dtype([(n, order + _NUMBERS[t] if t in _NUMBERS else f"V{8 if t == 32768 else t}")
                    for n, t in zip(names, types)])  # fmt: skip
    table = np.frombuffer(content, row, rows, places[_DATA] + len("<data>"))
    labels = _value_labels(content[places[_LABELS] : places[_LABELS + 1]], order, _NAME[release])
    return {
        name: _numbers(table[name], _NUMBERS[kind], labels.get(label, {}))
        for name, kind, label in zip(names, types, labelled)
        if kind in _NUMBERS
    }


def _between(content: bytes, tag: bytes) -> bytes:
    start = content.index(b"<" + tag + b">") + len(tag) + 2
    return content[start : content.index(b"</" + tag + b">", start)]


def _strings(content: bytes, start: int, count: int, width: int) -> list[str]:
    cells = [content[start + i * width : start + (i + 1) * width] for i in range(count)]
    return [cell.split(b"\0")[0].decode("utf-8") for cell in cells]


def _numbers(column: np.ndarray, kind: str, labels: dict[int, str]) -> np.ndarray:
    """float64, with missing values as NaN and numeric labels in the place of their codes."""
    values = column.astype(np.float64)
    values[values > _LARGEST[kind] * (1 - 1e-9 if kind[0] == "f" else 1)] = np.nan
    try:
        meaning = {code: float(text) for code, text in labels.items()}
    except ValueError:  # labels in words: the codes stay
        return values
    out = values.copy()
    for code, number in meaning.items():
        out[values == code] = number
    return out


def _value_labels(part: bytes, order: str, name_width: int) -> dict[str, dict[int, str]]:
    """The tables of labels: {name of the table: {code: label}}."""
    tables: dict[str, dict[int, str]] = {}
    at = part.find(b"<lbl>")
    while at >= 0:
        at += 5 + 4  # the tag and the length of the table
        (name,) = _strings(part, at, 1, name_width)
        at += name_width + 3  # three bytes of padding
        n, text_length = struct.unpack_from(f"{order}2I", part, at)
        offsets = np.frombuffer(part, f"{order}u4", n, at + 8)
        codes = np.frombuffer(part, f"{order}i4", n, at + 8 + 4 * n)
        text = part[at + 8 + 8 * n : at + 8 + 8 * n + text_length]
        tables[name] = {
            int(code): text[offset:].split(b"\0")[0].decode("utf-8")
            for code, offset in zip(codes, offsets)
        }
        at = part.find(b"<lbl>", at + 8 + 8 * n + text_length)
    return tables
