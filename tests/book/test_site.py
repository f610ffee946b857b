"""The built website: links, requests, numbering, registers, what every page carries."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from book.tools import assets, links, repository

pytestmark = pytest.mark.site
ROOT = Path(__file__).resolve().parents[2]


def pages(site: Path) -> list[Path]:
    return [p for p in site.rglob("*.html") if "_static" not in p.parts]


def text_of(site: Path, name: str) -> str:
    return (site / f"{name}.html").read_text(encoding="utf-8")


def anchors_of(site: Path) -> set[str]:
    return {a for page in pages(site) for a in links.read(page).anchors}


def test_links_lead_somewhere_and_nothing_is_fetched_elsewhere(site: Path) -> None:
    complaints, followed = links.check(site)
    assert not complaints, "\n".join(complaints)
    assert followed > 500


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ('<a href="nowhere.html">x</a>', "nowhere.html does not exist"),
        ('<a href="#gone">x</a>', "#gone has no such anchor"),
        ('<a href="two.html#gone">x</a>', "two.html#gone has no such anchor"),
        ('<p id="a"></p><p id="a"></p>', "the id 'a' stands 2 times"),
        ('<script src="https://cdn.example/x.js"></script>', "from another site"),
        ('<img src="//cdn.example/x.png">', "from another site"),
        ('<link rel="stylesheet" href="https://cdn.example/x.css">', "from another site"),
        ('<picture><source srcset="a.png 1x, gone.png 2x"></picture>', "gone.png does not exist"),
    ],
)
def test_the_link_check_finds_faults(tmp_path: Path, page: str, complaint: str) -> None:
    (tmp_path / "one.html").write_text(page, encoding="utf-8")
    (tmp_path / "two.html").write_text('<p id="here"></p>', encoding="utf-8")
    (tmp_path / "a.png").touch()
    complaints, _ = links.check(tmp_path)
    assert any(complaint in line for line in complaints), complaints


def test_the_link_check_lets_plain_links_go_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "one.html").write_text('<a href="https://example.org/">x</a>', encoding="utf-8")
    assert links.check(tmp_path) == ([], 0)


def test_every_page_of_the_contents_is_built(site: Path) -> None:
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    for name in re.findall(r"(?:file|root): (\S+)", toc):
        assert (site / f"{name}.html").exists(), name


def test_every_page_has_a_card_and_a_description(site: Path) -> None:
    address = repository.site()
    for page in pages(site):
        if "_modules" in page.parts:
            continue
        text = page.read_text(encoding="utf-8")
        assert f'content="{address}_static/social-card.png"' in text, page
        assert text.count('name="description"') == 1, page
    assert (site / "_static" / "social-card.png").stat().st_size > 20_000


def test_notebook_pages_offer_colab_download_and_editing(site: Path) -> None:
    for path in sorted((ROOT / "chapters").glob("*/*.ipynb")):
        name = path.relative_to(ROOT)
        text = text_of(site, name.with_suffix("").as_posix())
        assert f'href="{repository.colab(name.as_posix())}"' in text
        assert f"{repository.url()}/edit/{repository.setting('branch')}/{name.as_posix()}" in text
        assert re.search(r'href="[^"]+\.ipynb"[^>]*title="Download', text), f"no download: {name}"


def test_no_page_has_widget_state(site: Path) -> None:
    for page in pages(site):
        text = page.read_text(encoding="utf-8")
        assert "application/vnd.jupyter.widget" not in text, page


class Captions(HTMLParser):
    """Numbers of the figures of a page, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.numbers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = ("class", "caption-number") in attrs

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.numbers.append(data.strip())
            self.inside = False


def test_figures_and_equations_are_numbered_by_section(site: Path) -> None:
    for path in sorted((ROOT / "chapters").glob("*/*.ipynb")):
        name = path.relative_to(ROOT).with_suffix("").as_posix()
        text = text_of(site, name)
        title = re.search(r"<h1>((?:\d|[A-Z])[\d.]*) ", text)
        assert title, f"{name}: the title has no number"
        reader = Captions()
        reader.feed(text)
        figures = [n for n in reader.numbers if n.startswith("Figure")]
        assert figures == [f"Figure {title[1]}-{i + 1}" for i in range(len(figures))]
        equations = re.findall(r'<span class="eqno">\(([^)]+)\)', text)
        assert equations == [f"{title[1]}-{i + 1}" for i in range(len(equations))]


@pytest.mark.parametrize(
    ("title", "section"),
    [
        ("2.1.3 Back-propagation", "2.1.3"),
        ("2 Core algorithms", "2"),
        ("C Errata of the source", "C"),
        ("B.1 Text generation", "B.1"),
        ("2.1.3 反向传播算法", "2.1.3"),
        ("A tour of the engine", ""),
        ("Preface", ""),
        ("Notation", ""),
    ],
)
def test_the_number_of_a_title(title: str, section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    from numbering import section_of

    assert section_of(title) == section


def rows(name: str) -> list[dict[str, str]]:
    with (ROOT / "book" / "facts" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_of_coverage_has_a_home(site: Path) -> None:
    homes = {
        (r["chapter_section"], r["english_term"]): r["label"] for r in rows("coverage_links.csv")
    }
    owed = {(r["chapter_section"], r["english_term"]) for r in rows("coverage.csv")}
    assert owed == set(homes)
    anchors = anchors_of(site)
    homeless = [f"{key}: ({label})=" for key, label in homes.items() if label not in anchors]
    assert not homeless, "rows of coverage without a label in the book:\n" + "\n".join(homeless)
    assert 'class="no-home"' not in text_of(site, "book/coverage")


def test_every_erratum_is_answered(site: Path) -> None:
    anchors = anchors_of(site)
    missing = [f"(err-{r['id']})=" for r in rows("errata.csv") if f"err-{r['id']}" not in anchors]
    assert not missing, f"errata without a label in the book: {missing}"


def test_every_notebook_says_what_it_builds() -> None:
    described = {r["notebook"] for r in rows("chapters.csv")}
    there = {
        p.relative_to(ROOT).with_suffix("").as_posix()
        for p in (ROOT / "chapters").glob("*/*.ipynb")
    }
    assert there <= described, "book/facts/chapters.csv lacks a row"


def test_glossary_has_the_terms_of_the_source(site: Path) -> None:
    text = text_of(site, "book/glossary")
    terms = set(re.findall(r'<dt[^>]* id="term-[^"]*"[^>]*>([^<]+)', text))
    spoken = {"基本RNN", "sigmoid函数", "ReLU函数", "LSTM", "softmax", "深度学习算法", "卷积核"}
    for row in rows("coverage.csv"):
        chinese = row["chinese_term"]
        assert chinese in terms or chinese in spoken, f"not in the glossary: {chinese}"
    assert 'lang="zh"' in text


def test_search_knows_the_terms(site: Path) -> None:
    raw = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(raw.removeprefix("Search.setIndex(").removesuffix(")"))
    assert {"transpos", "glossari"} & set(index["terms"]) or "transpos" in str(index["terms"])[
        : 10**6
    ]
    assert "book/glossary" in index["docnames"]


def test_vendored_files_are_unchanged() -> None:
    stored = (assets.VENDOR / "checksums.txt").read_text(encoding="utf-8")
    assert stored == assets.checksums()
