"""Build the website: python -m book.tools.site [build|check|serve [PORT]].

The site is written to _build/html by Jupyter Book from _config.yml and _toc.yml. Warnings are
errors, and nothing is executed: the notebooks' stored outputs are shown, which nbval verifies.
"""

from __future__ import annotations

import hashlib
import html
import http.server
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from book.tools import links, repository

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
START = "book/intro.html"


def build(fresh: bool = False) -> int:
    """Build what changed (or everything); return the exit code."""
    start = "from jupyter_book.cli.main import main; main()"
    forget_stale_pages()
    command = [sys.executable, "-c", start, "build", str(ROOT), "-W", "-n", "--keep-going"]
    if fresh:
        command.append("--all")
    environment = {
        **os.environ,
        "LMBOOK_LIVE": "0",
        "PYTHONWARNINGS": "ignore",
        "PYTHONUTF8": "1",
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    (ROOT / "_build").mkdir(exist_ok=True)
    (ROOT / "_build" / "site.log").write_text(done.stdout, encoding="utf-8")
    if done.returncode:
        lines = done.stdout.splitlines()
        telling = [
            line for line in lines if re.search(r"WARNING|ERROR|CRITICAL|[Ee]xception", line)
        ]
        print("\n".join(telling or lines[-40:]))
        print("The site did not build; warnings count as errors. All of its log: _build/site.log")
        return done.returncode
    write_front_door()
    pages = sum("_static" not in page.parts for page in SITE.rglob("*.html"))
    print(f"The site has {pages} pages in {SITE.relative_to(ROOT).as_posix()}")
    return 0


def forget_stale_pages() -> None:
    """Start from nothing when settings, extensions or the list of pages changed.

    Sphinx rebuilds what changed in a page, but keeps pages that are gone, and the pages of source
    code as an older setting made them.
    """
    made_from = hashlib.sha256(sys.version.encode())
    for path in [
        ROOT / "_config.yml",
        ROOT / "_toc.yml",
        *sorted((ROOT / "book" / "_ext").glob("*.py")),
    ]:
        made_from.update(path.read_bytes())
    for path in sorted((ROOT / "lmbook").rglob("*.py")):
        made_from.update(path.relative_to(ROOT).as_posix().encode())
    stamp = ROOT / "_build" / "made-from.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != made_from.hexdigest():
        shutil.rmtree(ROOT / "_build" / "html", ignore_errors=True)
        shutil.rmtree(ROOT / "_build" / ".doctrees", ignore_errors=True)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(made_from.hexdigest(), encoding="utf-8")


def write_front_door() -> None:
    """index.html sends to the landing page and carries the social card of the bare address."""
    title = "Large Models from Scratch"
    about = "A textbook as code: large AI models, from a neuron to the Transformer, every output verified."
    site = repository.site()
    card = {
        "og:title": title, "og:description": about, "og:url": site, "og:type": "website",
        "og:image": f"{site}_static/social-card.png",
    }  # fmt: skip
    meta = "\n".join(f'<meta property="{k}" content="{html.escape(v)}">' for k, v in card.items())
    (SITE / "index.html").write_text(
        f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{html.escape(about)}">
{meta}
<meta name="twitter:card" content="summary_large_image">
<title>{title}</title>
<link rel="icon" href="_static/favicon.svg">
<meta http-equiv="refresh" content="0; url={START}">
</head>
<body><main><h1>{title}</h1><p><a href="{START}">Open the book</a></p></main></body>
</html>
""",
        encoding="utf-8",
    )
    (SITE / ".nojekyll").touch()


def serve(port: int = 8000) -> int:
    """Serve the built site on this machine only, until interrupted."""
    if not (SITE / "index.html").exists():
        print("The site is not built yet: run `python make.py site`")
        return 2
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        print(
            f"Port {port} cannot be used ({error}): name another, such as `lmbook book serve 8001`"
        )
        return 2
    with server:
        print(f"http://127.0.0.1:{server.server_address[1]}/  (stop with Ctrl+C)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def main(arguments: list[str]) -> int:
    command = arguments[0] if arguments else "build"
    if command == "build":
        return build(fresh="--all" in arguments)
    if command == "check":
        return build() or links.main([])
    if command == "serve" and all(a.isdigit() for a in arguments[1:]):
        return serve(*(int(a) for a in arguments[1:2]))
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
