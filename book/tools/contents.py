"""The table of contents and the pages of the API reference, made from what is in the repository.

python -m book.tools.contents            rewrite _toc.yml and book/api/
python -m book.tools.contents --check    exit 1 when they are out of step

A chapter is a folder of chapters/ whose first notebook, 00_NAME, opens it; folders named appendix_x come
after the chapters. A room is a folder of lmbook/ whose docstring says what it is for.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FLOORS = {
    "backend": 0, "autograd": 1, "data": 1, "distributed": 1, "gpu": 1, "accelerators": 1,
    "functional": 2, "optim": 2, "nn": 3, "models": 4, "training": 4,
    "parallel": 4, "apps": 5, "viz": 6, "grader": 6, "cli": 7,
}  # fmt: skip

FRONT = ("preface", "how-to-read", "teaching", "notation")
PROOFS = (
    "parity",
    "models",
    "kernels",
    "speed",
    "plans",
    "runs",
)  # pages that other tools write; listed where they exist
BACK = ("glossary", "bibliography", "errata", "coverage")

MORE = {
    "gpu": "{ref}`kernels` shows how every kernel is checked, and what that leaves open.",
    "models": "Published sizes are tables from a name to a config: `models.BERTS`, `DEEPSEEKS`, `GPTS`, "
    "`LLAMAS` (Mistral, Mixtral and Qwen too) and `T5S` for text; `EFFICIENTNETS`, `RESNETS`, `VGGS` and "
    '`VITS` for pictures. `models.GPT(models.GPTS["gpt2-xl"])` builds one, in `nn.shapes_only()` without '
    "memory; {ref}`sec-1-2-1` counts some, {ref}`models` all. Each is printed below, as its module's `SIZES` "
    "or by its name.",
}

INDEX = """\
(api)=
# API reference

The package `lmbook` is a house of rooms on eight floors. A room imports only from lower floors; a test reads
the imports and enforces it. So you can read the house from the ground up and never meet something that has
not been explained below.

| Room | Floor | What is in it |
| --- | --- | --- |
{rows}

Names and signatures follow PyTorch where PyTorch has the thing. Floors 0 to 3 import with NumPy alone.
"""


def rooms() -> dict[str, str]:
    """Each room of the package with the first sentence of its docstring, from the ground up."""
    found = {}
    for name in FLOORS:
        init = ROOT / "lmbook" / name / "__init__.py"
        if not init.exists():
            init = ROOT / "lmbook" / f"{name}.py"
        if init.exists():
            doc = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
            first = re.sub(r"^Level \d: ", "", " ".join(doc.split("\n\n")[0].split()))
            if first:
                found[name] = first[0].upper() + first[1:]
    return found


def chapters() -> list[tuple[str, list[str]]]:
    """Each chapter's opening notebook with its sections, without the ending .ipynb."""
    found = []
    for folder in sorted((ROOT / "chapters").glob("*/")):
        names = sorted(p.stem for p in folder.glob("*.ipynb"))
        if names:
            paths = [f"chapters/{folder.name}/{name}" for name in names]
            found.append((paths[0], paths[1:]))
    return found


def toc() -> str:
    """The text of _toc.yml."""
    lines = ["# Made by `python -m book.tools.contents`: do not edit.", "format: jb-book"]
    lines += ["root: book/intro", "parts:", "  - caption: Before you start", "    chapters:"]
    lines += [f"      - file: book/{page}" for page in FRONT]
    for caption, appendix in (("Chapters", False), ("Appendices", True)):
        listed = [c for c in chapters() if c[0].startswith("chapters/appendix_") == appendix]
        if listed:
            lines += [f"  - caption: {caption}", "    chapters:"]
        for opening, sections in listed:
            lines.append(f"      - file: {opening}")
            if sections:
                lines.append("        sections:")
                lines += [f"          - file: {section}" for section in sections]
    proofs = [page for page in PROOFS if (ROOT / "book" / f"{page}.md").exists()]
    if proofs:
        lines += ["  - caption: Proof", "    chapters:"]
        lines += [f"      - file: book/{page}" for page in proofs]
    lines += ["  - caption: Reference", "    chapters:"]
    lines += [f"      - file: book/{page}" for page in BACK]
    lines += ["      - file: book/api/index", "        sections:"]
    lines += [f"          - file: book/api/{room}" for room in rooms()]
    return "\n".join(lines) + "\n"


def api_pages() -> dict[Path, str]:
    """The pages of the API reference by path."""
    folder = ROOT / "book" / "api"
    rows = []
    pages = {}
    for name, about in rooms().items():
        rows.append(f"| {{ref}}`lmbook.{name} <api-{name}>` | {FLOORS[name]} | {about} |")
        more = f" {MORE[name]}" if name in MORE else ""
        text = f"(api-{name})=\n# `lmbook.{name}`\n\n{about}{more}\n\n```{{room}} {name}\n```\n"
        pages[folder / f"{name}.md"] = text
    pages[folder / "index.md"] = INDEX.format(rows="\n".join(rows))
    return pages


def main(arguments: list[str]) -> int:
    wanted = {ROOT / "_toc.yml": toc(), **api_pages()}
    stale = set((ROOT / "book" / "api").glob("*.md")) - set(wanted)
    out = [p for p, text in wanted.items() if not p.exists() or p.read_text("utf-8") != text]
    if "--check" in arguments:
        for path in [*out, *sorted(stale)]:
            print(f"{path.relative_to(ROOT).as_posix()} is out of step: "
                  "run `python -m book.tools.contents`")  # fmt: skip
        return int(bool(out or stale))
    for path in out:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8", newline="\n")
    for path in stale:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
