"""What every page carries: the address of the site and the social card, and no request elsewhere."""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

DESCRIPTION = (
    "Large AI models from the ground up: a textbook whose every output is verified, "
    "with an engine in NumPy that you build, train and compare with PyTorch."
)
CARD = "_static/social-card.png"


def site_address(repository: str) -> str:
    """Where GitHub Pages serves a repository: https://OWNER.github.io/NAME/."""
    match = re.match(r"https://github\.com/([^/]+)/([^/]+?)(?:\.git)?/?$", repository)
    return f"https://{match[1].lower()}.github.io/{match[2]}/" if match else ""


def set_address(_app: Sphinx, config: Config) -> None:
    if not config.html_baseurl:
        config.html_baseurl = site_address(config.html_theme_options["repository_url"])


def drop_thebe(app: Sphinx, _config: Config) -> None:
    """Jupyter Book always loads Thebe, whose script comes from another site; the book does not use it."""
    sheets = app.registry.css_files
    sheets[:] = [sheet for sheet in sheets if "thebe" not in str(sheet[0])]
    for listeners in app.events.listeners.values():
        listeners[:] = [
            one for one in listeners if not one.handler.__module__.startswith("sphinx_thebe")
        ]


def summary(doctree: nodes.document | None) -> str:
    """The first real paragraph of a page, for search engines and cards."""
    if doctree is not None:
        for paragraph in doctree.findall(nodes.paragraph):
            text = " ".join(paragraph.astext().split())
            if len(text) > 60 and paragraph.parent.tagname == "section":
                return text if len(text) <= 200 else text[:197].rsplit(" ", 1)[0] + " ..."
    return DESCRIPTION


def add_meta(
    app: Sphinx,
    pagename: str,
    _template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    base = app.config.html_baseurl
    title = re.sub(r"<[^>]+>", "", context.get("title", "") or app.config.html_title)
    about = summary(doctree)
    tags = {
        "og:title": html.unescape(title),
        "og:site_name": app.config.html_title,
        "og:type": "article",
        "og:description": about,
        "og:url": f"{base}{pagename}.html",
        "og:image": f"{base}{CARD}",
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": "Large Models from Scratch: a textbook as code",
    }
    lines = [f'<meta property="{k}" content="{html.escape(v)}" />' for k, v in tags.items()]
    lines.append('<meta name="twitter:card" content="summary_large_image" />')
    if 'name="description"' not in context.get("metatags", ""):
        lines.append(f'<meta name="description" content="{html.escape(about)}" />')
    context["metatags"] = context.get("metatags", "") + "\n".join(lines) + "\n"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", set_address, priority=900)
    app.connect("config-inited", drop_thebe)
    app.connect("html-page-context", add_meta)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
