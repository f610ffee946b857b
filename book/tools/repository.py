"""The public address of the repository, read from its one place: `repository.url` in _config.yml.

python -m book.tools.repository             rewrite README's badges
python -m book.tools.repository --check     exit 1 when they are out of step
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
MARK = re.compile(r"(<!-- badges -->\n).*?(<!-- /badges -->)", re.DOTALL)


def setting(key: str) -> str:
    """`url` or `branch` of the section `repository`, read without a YAML library."""
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    section = re.search(r"^repository:\n((?:[ #].*\n|\n)+)", text, re.MULTILINE)
    found = section and re.search(rf"^  {key}:\s*(\S+)", section[1], re.MULTILINE)
    if not found:
        raise ValueError(f"_config.yml has no repository.{key}")
    return found[1].strip("\"'")


def url() -> str:
    """The address without a slash at its end."""
    return setting("url").rstrip("/")


def site() -> str:
    """Where GitHub Pages serves the book: https://OWNER.github.io/NAME/."""
    owner, name = url().removeprefix("https://github.com/").split("/")
    return f"https://{owner.lower()}.github.io/{name}/"


def install_line() -> str:
    """What the notebooks' set-up cells and the Colab instructions hand to pip."""
    return f"git+{url()}@{setting('branch')}"


def colab(path: str) -> str:
    """Colab's address for a notebook of the repository."""
    slug = url().removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{slug}/blob/{setting('branch')}/{path}"


def badges() -> str:
    """The badge lines of the README."""
    test = f"{url()}/actions/workflows/test.yml"
    first = "chapters/02_core_algorithms/00_core_algorithms.ipynb"
    return (
        f"[![Tests]({test}/badge.svg)]({test})\n"
        f"[![Read the book](https://img.shields.io/badge/read-the_book-0b7285)]({site()})\n"
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"({colab(first)})\n"
    )


def main(arguments: list[str]) -> int:
    text = README.read_text(encoding="utf-8")
    new = MARK.sub(lambda m: m[1] + badges() + m[2], text)
    if "--check" in arguments:
        if new != text:
            print("README's badges are out of step: run `python -m book.tools.repository`")
        return int(new != text)
    README.write_text(new, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
