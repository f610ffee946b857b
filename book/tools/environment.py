"""environment.yml from pyproject.toml.

python -m book.tools.environment            rewrite the file
python -m book.tools.environment --check    exit 1 when the two are out of step
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "environment.yml"
EXTRAS = ("notebooks", "book", "torch", "fast", "dev")
CONDA_NAMES = {"torch": "pytorch"}
PIP_ONLY = {"axe-playwright-python", "playwright"}  # conda-forge has no build of these names

HEADER = """\
# Generated from pyproject.toml by `python -m book.tools.environment`: do not edit.
# The conda solve of this file is untested; `python make.py site` with pip is the tested way.
"""


def split(requirement: str) -> tuple[str, str]:
    """('numpy', '>=1.26') from 'numpy>=1.26'; markers are dropped."""
    match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*([^;]*)", requirement)
    if match is None:
        raise ValueError(f"not a requirement: {requirement!r}")
    return match[1], match[2].replace(" ", "")


def environment(pyproject: str) -> str:
    """The text of environment.yml for the text of a pyproject.toml."""
    project = tomllib.loads(pyproject)["project"]
    wanted = list(project["dependencies"])
    for extra in EXTRAS:
        wanted += project["optional-dependencies"][extra]
    conda, pip = [], []
    for name, spec in sorted({split(item) for item in wanted}):
        if name == project["name"]:  # an extra that includes another
            continue
        if name in PIP_ONLY:
            pip.append(f"{name}{spec}")
        else:
            conda.append(f"{CONDA_NAMES.get(name, name)}{spec}")
    lines = ["name: lmbook", "channels:", "  - conda-forge", "  - nodefaults", "dependencies:"]
    lines += [f'  - "python{project["requires-python"]}"', *(f'  - "{item}"' for item in conda)]
    lines += ["  - pip", "  - pip:", *(f'      - "{item}"' for item in pip), "      - -e ."]
    return HEADER + "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    text = environment((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if "--check" in arguments:
        if FILE.exists() and FILE.read_text(encoding="utf-8") == text:
            return 0
        print("environment.yml is out of step: run `python -m book.tools.environment`")
        return 1
    FILE.write_text(text, encoding="utf-8", newline="\n")
    print(f"wrote {FILE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
