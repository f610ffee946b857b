"""Look at the built site in headless Chromium.

python -m book.tools.browser check [PAGE...]         accessibility, errors, width; exit 1 on a finding
python -m book.tools.browser shots FOLDER [PAGE...]  screenshots: desktop and phone, light and dark

Playwright's Python package drives the Chromium that is installed on the machine (chromium,
google-chrome, or the one named by the variable CHROMIUM); no browser is downloaded.
"""

from __future__ import annotations

import difflib
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from lmbook.backend import MissingDependency, require

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
)
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
FLAGS = (
    "--disable-background-networking", "--disable-component-update", "--disable-gpu",
    "--disable-quic", "--disable-sync", "--font-render-hinting=none", "--no-first-run",
    "--no-sandbox",  # in a container there is no user namespace; the pages are our own
)  # fmt: skip
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class NoBrowser(RuntimeError):
    """There is no Chromium to look with."""


class NoPage(ValueError):
    """The built site has no page of that name."""


def chromium() -> str | None:
    """The path of an installed Chromium, or None."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return found or next((place for place in PLACES if Path(place).exists()), None)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that does not print its requests."""

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The site at an address of this machine."""
    handler = partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@contextmanager
def browser() -> Iterator[Any]:
    """An installed Chromium, driven by playwright; an error says what is missing."""
    for module in ("playwright", "axe_playwright_python"):
        require(module, extra="dev", why="looking at the site in a browser")
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        raise NoBrowser("no Chromium is installed, and the variable CHROMIUM names none")
    with sync_playwright() as driver:
        program = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield program
        program.close()


def pages(site: Path = SITE) -> list[str]:
    """Every page of the built site, as addresses relative to its root."""
    found = (
        p.relative_to(site).as_posix() for p in site.rglob("*.html") if "_static" not in p.parts
    )
    return sorted(found)


def refuse_missing(wanted: list[str], site: Path) -> None:
    """Raise `NoPage` for the first name that is no page, with the names most like it."""
    there = pages(site)
    for page in wanted:
        if page.partition("#")[0].partition("?")[0] in there:
            continue
        near = difflib.get_close_matches(page, there, n=3, cutoff=0.4)
        hint = f"near it: {', '.join(near)}" if near else f"{site} has {len(there)} pages"
        raise NoPage(f"shots: {page!r} is not a page of the built site; {hint}")


@dataclass
class Visit:
    """One page in one scheme at one width, and what was wrong with it."""

    page: str
    scheme: str
    width: str
    findings: list[str]

    def __str__(self) -> str:
        return "\n".join(f"{self.page} [{self.scheme}, {self.width}]: {f}" for f in self.findings)


def settle(tab: Any, address: str) -> None:
    """Open a page and wait until its fonts and formulas stand."""
    tab.goto(address, wait_until="load")
    tab.evaluate(
        """async () => {
            await window.MathJax?.startup?.promise?.catch(() => null);
            await document.fonts.ready;
        }"""
    )


def context(program: Any, scheme: str, width: str) -> Any:
    """A fresh profile that asks for light or dark, at one size."""
    across, down = WIDTHS[width]
    made = program.new_context(
        color_scheme=scheme, viewport={"width": across, "height": down}, reduced_motion="reduce"
    )
    made.add_init_script(
        f"localStorage.setItem('mode', '{scheme}'); localStorage.setItem('theme', '{scheme}')"
    )
    return made


MEASURE = """async () => {
    await Promise.all([...document.images].map(i => i.decode().catch(() => null)));
    const w = document.documentElement.clientWidth;
    const clipped = e => {
        for (let p = e.parentElement; p; p = p.parentElement)
            if (getComputedStyle(p).overflowX !== 'visible') return true;
        return false;
    };
    const wide = [...document.querySelectorAll('main *')].filter(e => {
        const r = e.getBoundingClientRect();
        return r.width > 0 && r.right > w + 1 && !clipped(e);
    }).slice(0, 3).map(e => e.outerHTML.slice(0, 90));
    const blank = [...document.images].filter(i => !i.complete || i.naturalWidth === 0).map(i => i.src);
    const raw = [...document.querySelectorAll('span.math, div.math')]
        .filter(m => !m.querySelector('mjx-container')).length;
    const bad = [...document.querySelectorAll('mjx-merror')].map(m => m.textContent.slice(0, 80));
    return {scroll: document.documentElement.scrollWidth - w, wide, blank, raw, bad,
            theme: document.documentElement.dataset.theme};
}"""

# Contrast depends on how a text looks, so of the texts that look alike three a page are measured, in place
# of every token of every listing: 3 % of a long page. Narrower, only looks that were not there before.
# The other tokens of listings and signatures, which no rule is about, become plain text: without them,
# two thirds of a page, axe takes half the time.
LOOKS = """() => {
    const before = window.looks ??= new Set();
    const seen = new Map();
    let fresh = 0;
    const ground = e => {
        const layers = [];
        for (; e; e = e.parentElement) {
            const s = getComputedStyle(e);
            layers.push(s.opacity, s.backgroundImage, s.backgroundColor);
            if (s.backgroundColor.startsWith('rgb(')) break;
        }
        return layers.join();
    };
    for (const e of document.body.querySelectorAll('*')) {
        e.removeAttribute('data-look');
        const speaks = e.matches('input, select, textarea') ||
            [...e.childNodes].some(c => c.nodeType === Node.TEXT_NODE && c.data.trim());
        if (!speaks || !e.checkVisibility()) continue;
        const s = getComputedStyle(e);
        const look = [s.color, s.fontSize, s.fontWeight, ground(e)].join('|');
        seen.set(look, (seen.get(look) ?? 0) + 1);
        if (!before.has(look) && seen.get(look) <= 3) {
            e.setAttribute('data-look', '');
            fresh += 1;
        }
    }
    seen.forEach((_, look) => before.add(look));
    for (const e of [...document.querySelectorAll('pre span, .sig span')].reverse())
        if (!e.id && !e.children.length && !e.hasAttribute('data-look')) e.replaceWith(e.textContent);
    axe.configure({rules: [{id: 'color-contrast', selector: '[data-look]'}]});
    return fresh;
}"""
BY_WIDTH = ["target-size", "scrollable-region-focusable"]
"""axe's rules, beside contrast, that depend on how wide the window is."""
AXE = """async rules => (await axe.run(document, {runOnly: rules, preload: false})).violations.map(v =>
    `axe ${v.id} (${v.impact}): ` + v.nodes.slice(0, 3).map(n => n.target.join(' ')).join(' | '))"""


def rules_for(scheme: str, width: str, whole: bool) -> list[str]:
    """axe's rules, beside contrast, for one look at a page.

    None of them depends on the scheme, so they run in the first one alone; few depend on the width.
    """
    if scheme != SCHEMES[0]:
        return []
    return AXE_TAGS if whole or width == "desktop" else BY_WIDTH


def visit(
    tab: Any, base: str, page: str, scheme: str, ready: str = "", whole: bool = True
) -> list[Visit]:
    """Open one page, look at it at each width, and collect everything that is wrong with it.

    `whole` is false for a page whose surroundings were seen on another one: then the rules that do not
    depend on the width run at one width.
    """
    loading: list[str] = []

    def note_message(message: Any) -> None:
        if message.type in ("error", "warning"):
            loading.append(f"console {message.type}: {message.text[:160]}")

    def note_request(request: Any) -> None:
        if not request.url.startswith((base, "data:", "blob:")):
            loading.append(f"asks another site: {request.url}")

    def note_failure(request: Any) -> None:
        # Chromium may call a stream aborted that a script has read to its end.
        if request.method != "POST" or request.failure != "net::ERR_ABORTED":
            loading.append(f"not loaded: {request.url}")

    def note_answer(answer: Any) -> None:
        if answer.status >= 400:
            loading.append(f"answered {answer.status}: {answer.url}")

    tab.on("console", note_message)
    tab.on("pageerror", lambda error: loading.append(f"script error: {str(error)[:160]}"))
    tab.on("request", note_request)
    tab.on("response", note_answer)
    tab.on("requestfailed", note_failure)
    settle(tab, base + page)
    if ready:
        tab.evaluate(ready)
    tab.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    visits = []
    for width, (across, down) in WIDTHS.items():
        tab.set_viewport_size({"width": across, "height": down})
        rules = rules_for(scheme, width, whole)
        if tab.evaluate(LOOKS) and rules != AXE_TAGS:
            rules = [*rules, "color-contrast"]
        findings = faults_of(tab.evaluate(MEASURE), scheme)
        if rules:
            findings += tab.evaluate(AXE, rules)
        visits.append(Visit(page, scheme, width, findings))
    visits[0].findings += sorted(set(loading))
    return visits


def faults_of(seen: dict[str, Any], scheme: str) -> list[str]:
    """What is wrong with the measurements of one page."""
    faults = []
    if seen["scroll"] > 0:
        faults.append(f"scrolls sideways by {seen['scroll']} px: {seen['wide']}")
    if seen["blank"]:
        faults.append(f"pictures missing: {seen['blank']}")
    if seen["raw"]:
        faults.append(f"{seen['raw']} formulas not typeset")
    if seen["bad"]:
        faults.append(f"formulas with errors: {seen['bad']}")
    if seen["theme"] and seen["theme"] != scheme:
        faults.append(f"shown in {seen['theme']} though {scheme} was asked for")
    return faults


def look(program: Any, base: str, page: str = "", ready: str = "") -> list[str]:
    """What is wrong with a page served at `base`: light and dark, desktop and phone.

    `ready` is JavaScript that brings the page into the state to look at.
    """
    findings = []
    for scheme in SCHEMES:
        profile = context(program, scheme, "desktop")
        tab = profile.new_page()
        findings += [str(seen) for seen in visit(tab, base, page, scheme, ready) if seen.findings]
        profile.close()
    return findings


def check_share(wanted: list[str], site: Path) -> list[Visit]:
    visits = []
    with served(site) as base, browser() as program:
        for scheme in SCHEMES:
            profile = context(program, scheme, "desktop")
            for page in wanted:
                tab = profile.new_page()
                visits += visit(tab, base, page, scheme, whole=page == wanted[0])
                tab.close()
            profile.close()
    return visits


def check(wanted: list[str], site: Path = SITE) -> list[Visit]:
    """Visit pages in light and dark, each at both widths; two browsers share the pages."""
    shares = [share for share in (wanted[::2], wanted[1::2]) if share]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(check_share, share, site) for share in shares]
        return [found for job in jobs for found in job.result()]


def shots(folder: Path, wanted: list[str], site: Path = SITE, full: bool = True) -> list[Path]:
    """Screenshots of pages, light and dark, desktop and phone. Raises `NoPage` for one that is missing."""
    refuse_missing(wanted, site)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with served(site) as base, browser() as program:
        for scheme in SCHEMES:
            for width in WIDTHS:
                profile = context(program, scheme, width)
                for page in wanted:
                    tab = profile.new_page()
                    settle(tab, base + page)
                    name = page.removesuffix(".html").replace("/", "_")
                    path = folder / f"{name}-{width}-{scheme}.png"
                    tab.screenshot(path=path, full_page=full)
                    tab.close()
                    made.append(path)
                profile.close()
    return made


def main(arguments: list[str]) -> int:
    """Command line; returns the exit code."""
    try:
        return work(arguments)
    except (MissingDependency, NoBrowser, NoPage) as error:
        print(error)
        return 2


def work(arguments: list[str]) -> int:
    """`check` and `shots`; anything else prints how they are called."""
    if arguments[:1] == ["check"]:
        # index.html only forwards, so a visit would be one of the landing page
        wanted = arguments[1:] or [p for p in pages() if p != "index.html"]
        visits = check(wanted)
        bad = [v for v in visits if v.findings]
        print(*bad, sep="\n")
        print(f"{len(visits)} visits, {len(bad)} with findings")
        return int(bool(bad))
    if arguments[:1] == ["shots"] and len(arguments) > 1:
        folder, top = arguments[1], "--top" in arguments
        if folder.startswith("-"):
            print(
                f"shots: the folder comes first, and {folder!r} is not one; shots FOLDER [PAGE...]"
            )
            return 2
        wanted = [a for a in arguments[2:] if a != "--top"] or ["book/intro.html"]
        for path in shots(Path(folder), wanted, SITE, full=not top):
            print(path)
        return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
