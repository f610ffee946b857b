"""Every internal link and anchor of the built site leads somewhere; nothing is fetched elsewhere.

python -m book.tools.links [FOLDER]     exit 1 and list what is broken
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"

# Tags whose address the browser fetches without being asked. A plain link waits for a click.
FETCHED = {
    "audio": ("src",), "embed": ("src",), "iframe": ("src",), "img": ("src", "srcset"),
    "input": ("src",), "object": ("data",), "script": ("src",), "source": ("src", "srcset"),
    "track": ("src",), "video": ("src", "poster"),
}  # fmt: skip
FETCHING_RELS = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "manifest",
}


@dataclass
class Page(HTMLParser):
    """The anchors, links and fetched addresses of one page."""

    anchors: Counter[str] = field(default_factory=Counter)
    links: set[str] = field(default_factory=set)
    fetched: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        if "id" in values:
            self.anchors[values["id"]] += 1
        if tag == "a" and values.get("name"):
            self.anchors[values["name"]] += 1
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        for name in FETCHED.get(tag, ()):
            if name in values:
                for item in values[name].split(",") if name == "srcset" else [values[name]]:
                    self.fetched.add(item.split()[0] if item.split() else "")
        if (
            tag == "link"
            and "href" in values
            and FETCHING_RELS & set(values.get("rel", "").split())
        ):
            self.fetched.add(values["href"])


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def is_elsewhere(address: str) -> bool:
    return bool(urlsplit(address).scheme) or address.startswith("//")


def check(site: Path) -> tuple[list[str], int]:
    """Complaints, and how many internal links were followed."""
    pages = {p.resolve(): read(p) for p in site.rglob("*.html") if "_static" not in p.parts}
    complaints, followed = [], 0
    for path, page in sorted(pages.items()):
        name = path.relative_to(site.resolve()).as_posix()
        for anchor, count in page.anchors.items():
            if count > 1:
                complaints.append(f"{name}: the id {anchor!r} stands {count} times")
        for address in sorted(page.fetched):
            if is_elsewhere(address) and not address.startswith("data:"):
                complaints.append(f"{name}: fetches {address} from another site")
        for address in sorted(page.links | page.fetched):
            if is_elsewhere(address) or not address:
                continue
            followed += 1
            parts = urlsplit(address)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target = target / "index.html"
            if not target.exists():
                complaints.append(f"{name}: {address} does not exist")
            elif (
                parts.fragment
                and target in pages
                and unquote(parts.fragment) not in pages[target].anchors
            ):
                complaints.append(f"{name}: {address} has no such anchor")
    for sheet in site.rglob("*.css"):
        for address in re.findall(
            r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", sheet.read_text("utf-8")
        ):
            complaints.append(f"{sheet.relative_to(site).as_posix()}: fetches {address}")
    return complaints, followed


def main(arguments: list[str]) -> int:
    site = Path(arguments[0]) if arguments else SITE
    if not site.is_dir():
        print(f"{site} does not exist: build the site first with `python make.py site`")
        return 2
    complaints, followed = check(site)
    for complaint in complaints:
        print(complaint)
    print(f"{followed} internal links, {len(complaints)} complaints")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
