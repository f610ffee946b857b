"""What the assistant may read: the language reference and the book's own pages, cut into passages.

A page is a help topic of Python, a notebook's prose, or an entry of the glossary. The reference comes
with the package; the pages of the book are read from a clone of its repository, where there is one.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lmbook.data.reference import topics

SIZE = 600
"""About so many characters make a passage: 100 to 150 tokens, what MiniLM was trained on."""


@dataclass(frozen=True)
class Passage:
    """A piece of a page: where it stands, and its text."""

    source: str  # "python" or "book"
    place: str  # the topic; or the page's path without its ending
    title: str
    section: str
    anchor: str
    text: str

    @property
    def heading(self) -> str:
        """The title, and the section if it says more."""
        return self.title if self.section in ("", self.title) else f"{self.title}: {self.section}"

    @property
    def citation(self) -> str:
        """Where a reader finds it: help("topic") in Python, or the page of the book."""
        if self.source == "python":
            return f'Python 3.11, help("{self.place}"): {self.heading}'
        return f"{self.heading} ({self.place}.html{'#' if self.anchor else ''}{self.anchor})"

    @property
    def searched(self) -> str:
        """What retrieval sees: the heading, then the text."""
        return f"{self.heading}. {self.text}"


class Block(NamedTuple):
    """One paragraph of a page, and the section that it is in."""

    section: str
    anchor: str
    text: str
    starts: bool = False  # it opens something new: never packed behind what came before


def squeeze(text: str) -> str:
    """The text with single spaces for all white space: how quotes and answers are compared."""
    return " ".join(text.split())


def digest(passages: Iterable[Passage]) -> str:
    """Sixteen hexadecimal digits that change with any passage."""
    joined = "\0".join(p.searched for p in passages)
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def pack(
    blocks: Iterable[Block], source: str, place: str, title: str, size: int = SIZE
) -> list[Passage]:
    """Neighbouring blocks of a section together, up to `size` characters; a longer one is cut at
    sentences.
    """
    found: list[Passage] = []
    held: list[str] = []
    at = ("", "")

    def flush() -> None:
        if held:
            found.append(Passage(source, place, title, *at, "\n".join(held)))
            held.clear()

    for block in blocks:
        if (block.section, block.anchor) != at or block.starts:
            flush()
        at = (block.section, block.anchor)
        for part in _cut(block.text, 2 * size):
            if held and sum(map(len, held)) + len(part) > size and len(held[-1]) > 60:
                flush()
            held.append(part)
    flush()
    return found


def _cut(text: str, most: int) -> Iterator[str]:
    """A text in parts of at most `most` characters, after a sentence or a line where that can be."""
    while len(text) > most:
        ends = [m.end() for m in re.finditer(r"(?<=[.;:])\s|\n", text[:most])]
        stop = ends[-1] if ends and ends[-1] > most // 3 else most
        yield text[:stop].strip()
        text = text[stop:]
    if text.strip():
        yield text.strip()


def language_passages() -> list[Passage]:
    """The help topics of Python 3.11. A paragraph that stands in several belongs to the shortest of them."""
    seen: set[str] = set()
    found: list[Passage] = []
    for place, text in sorted(topics().items(), key=lambda item: (len(item[1]), item[0])):
        title, blocks = _topic(text)
        fresh = [b for b in blocks if squeeze(b.text) not in seen]
        seen |= {squeeze(b.text) for b in fresh}
        found += pack(fresh, "python", place, title)
    return found


_RULE = re.compile(r"^([*=\-~^\"])\1{2,}$")
_DEFINITION = re.compile(r"^\s*(?:class |coroutine )?[\w.]+(?:\(.*\)|\.__\w+__)$")


def _topic(text: str) -> tuple[str, list[Block]]:
    """The title of a help topic, and its paragraphs."""
    title = section = ""
    blocks = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = paragraph.strip("\n").split("\n")
        if len(lines) > 1 and _RULE.match(lines[1]):
            section = lines[0].strip().replace('"', "")
            title = title or section
            lines = lines[2:]
        if lines := [line for line in lines if line.strip()]:
            starts = len(lines) == 1 and _DEFINITION.match(lines[0]) is not None
            blocks.append(Block(section, "", _flow(lines), starts))
    return title, blocks


def _flow(lines: list[str]) -> str:
    """Prose on one line; what has short lines is code or a table and keeps them."""
    drawn = any(line.lstrip().startswith(("+--", "|", ">>>")) for line in lines)
    if len(lines) > 1 and (drawn or max(map(len, lines)) < 56):
        least = min(len(line) - len(line.lstrip()) for line in lines)
        return "\n".join(line[least:].rstrip() for line in lines)
    return squeeze(" ".join(lines))


def book_folder(start: Path | None = None) -> Path | None:
    """The clone of the book's repository that holds `start`, or that lmbook runs from; None without one."""
    start = Path.cwd() if start is None else start.resolve()
    package = Path(__file__).resolve().parents[2]
    for folder in (start, *start.parents, package):
        if (folder / "_config.yml").is_file() and (folder / "chapters").is_dir():
            return folder
    return None


def book_passages(folder: Path) -> list[Passage]:
    """The prose of the notebooks and the glossary in a clone of the book's repository.

    Cells of code and what they print are left out: their numbers are not found.
    """
    found: list[Passage] = []
    for path in sorted(folder.glob("chapters/*/*.ipynb")):
        title, blocks = _notebook(path)
        place = path.relative_to(folder).with_suffix("").as_posix()
        found += pack(blocks, "book", place, title)
    return found + _glossary(folder / "book" / "glossary.md")


def _notebook(path: Path) -> tuple[str, list[Block]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    markdown = [
        "".join(cell["source"]).strip() for cell in cells if cell["cell_type"] == "markdown"
    ]
    title = section = anchor = ""
    blocks = []
    for paragraph in re.split(r"\n\s*\n", "\n\n".join(markdown)):
        kept = []
        for line in paragraph.split("\n"):
            if label := re.match(r"\(([\w-]+)\)=\s*$", line):
                anchor = label[1]
            elif heading := re.match(r"#+ +(.*)", line):
                section = plain(heading[1])
                title = title or section
            else:
                kept.append(line)
        if text := plain("\n".join(kept)):
            blocks.append(Block(section, anchor, text))
    return title, blocks


def _glossary(path: Path) -> list[Passage]:
    text = path.read_text(encoding="utf-8")
    body = text[text.index(":sorted:") : text.rindex("```")]
    found = []
    for entry in re.split(r"\n\s*\n", body)[1:]:
        lines = entry.strip("\n").split("\n")
        heads = [line.strip() for line in lines if not line.startswith(" ")]
        meaning = plain("\n".join(line for line in lines if line.startswith(" ")))
        if heads and meaning:
            anchor = "term-" + re.sub(r"[^\w]+", "-", heads[0]).strip("-")
            found.append(
                Passage("book", "book/glossary", "Glossary", heads[0], anchor,
                        f"{' / '.join(heads)}: {meaning}")
            )  # fmt: skip
    return found


_MARKUP = (
    (r"```\{math\}.*?```|\$\$.*?\$\$(?:\s*\(eq-[\w-]+\))?", " "),  # formulas on lines of their own
    (r"(?m)^\s*(?:[:`]{3,}.*|:\w[\w-]*:.*|%.*)$", ""),  # directives and their options
    (r"<[^<>\n]{1,200}>", lambda m: m[0] if re.match(r"<\s", m[0]) else ""),  # HTML
    (r"\{(?:term|ref|doc|numref)\}`([^`<]+?)\s*(?:<[^`]*>)?`", r"\1"),
    (r"\s*\{(?:cite|cite:t|cite:p|eq)\}`[^`]*`", ""),
    (r"!\[([^\]]*)\]\([^)]*\)|\[([^\]]*)\]\([^)\s]*\)", lambda m: m[1] or m[2] or ""),
    (r"(?m)^[ \t]*\|?[ \t]*:?-{2,}[-:| \t]*$", ""),  # the rule under a table's head
    (r"(?m)^[ \t]*\|[ \t]*(.*?)[ \t]*\|[ \t]*$", r"\1"),
    (r"\s+\|\s+", "; "),
    (r"(?<![\w*])\*{1,2}(?=\S)(.+?)(?<=\S)\*{1,2}(?![\w*])", r"\1"),
    (r"`([^`]+)`", r"\1"),
    (r"\\([_*$#])", r"\1"),
)


def plain(markdown: str) -> str:
    """The words of a piece of the book's Markdown, on one line."""
    for pattern, replacement in _MARKUP:
        markdown = re.sub(
            pattern, replacement, markdown, flags=re.DOTALL if "math" in pattern else 0
        )
    return squeeze(markdown)
