"""Every rule of the lint catches a planted offence, and leaves a sound notebook alone."""

from types import SimpleNamespace

import nbformat
import pytest

from book.tools import author, lint, notebooks

PICTURE = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 700x350 with 1 Axes>"}
FIGURE = {
    "figure": {"name": "fig-2-1-3-line", "caption": "A line."},
    "image": {"alt": "A line that rises to the right."},
}
NAME = "chapters/02_core_algorithms/03_backpropagation.ipynb"


@pytest.fixture
def root(tmp_path):
    """A small book: a bibliography, a grader with three exercises."""
    checks = tmp_path / "lmbook" / "grader" / "checks"
    checks.mkdir(parents=True)
    (checks / "c.py").write_text('@check("2.1.3-a")\n@check("2.1.3-b")\n@check("2.1.3-c")\n')
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "references.bib").write_text("@article{rumelhart1986,\n title={x}}\n")
    return tmp_path


@pytest.fixture
def nb(root, monkeypatch):
    """A notebook in which there is nothing to find."""
    monkeypatch.setattr(notebooks, "setup_source", lambda: "import lmbook")
    made = author.Notebook(root / NAME, "2.1.3", "Back-propagation", "反向传播算法")
    made.learn(["gradients"], ["the chain rule"])
    made.md(
        "## A heading\n\nThe error is 0.25, or 25 %. The loss was 1.34 {cite}`rumelhart1986`.",
        id="prose",
    )
    made.predict("What?", "This.")
    made.code("import matplotlib.pyplot as plt\nimport numpy as np\nimport torch\n"
              "from lmbook import nn, viz", id="imports")  # fmt: skip
    made.code("print(0.251)", id="value")
    made.code("plt.plot([1, 2])\nplt.show()", id="figure")
    made.code("viz.explore(draw, rate=(0, 1, 0.1))", id="explorer")
    made.md("## Summary\n\nGradients flow back.")
    made.exercises({"2.1.3-a": "One.", "2.1.3-b": "Two.", "2.1.3-c": "Three."})
    made.further("{cite:t}`rumelhart1986`.")
    made.save()
    nb = opened(notebooks.read(root / NAME))
    nb.by_id["value"].outputs = [nbformat.v4.new_output("stream", text="0.251\n")]
    for name in ("figure", "explorer"):
        cell = nb.by_id[name]
        cell.outputs = [nbformat.v4.new_output("display_data", data=dict(PICTURE))]
        cell.metadata["mystnb"] = nbformat.from_dict(FIGURE)
    nb.by_id["explorer"].metadata = nbformat.from_dict(
        {
            "mystnb": {
                "figure": {"name": "fig-2-1-3-explorer", "caption": "c"},
                "image": FIGURE["image"],
            }
        }
    )
    for count, cell in enumerate((c for c in nb.cells if c.cell_type == "code"), 1):
        cell.execution_count = count
    return nb


def opened(node):
    """A notebook whose cells can be reached by id."""
    return SimpleNamespace(
        node=node, cells=node.cells, metadata=node.metadata, by_id={c.id: c for c in node.cells}
    )


def copy(nb):
    return opened(nbformat.reads(nbformat.writes(nb.node), 4))


def found(nb, root, name=NAME):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(nbformat.writes(nb.node), encoding="utf-8")
    return lint.lint(root / name, root)


def test_a_sound_notebook_has_no_findings(nb, root):
    assert found(nb, root) == []


def source(cell, text):
    return lambda nb: nb.by_id[cell].update(source=text)


def says(text):
    return lambda nb: nb.by_id["value"].outputs[0].update(text=text)


def prose(text):
    return lambda nb: nb.by_id["prose"].update(source=text)


def without(text):
    def change(nb):
        for cell in nb.cells:
            cell.source = cell.source.replace(text, "")

    return change


def meta(cell, **mystnb):
    return lambda nb: nb.by_id[cell].metadata["mystnb"].update(nbformat.from_dict(mystnb))


def replace(cell, old, new):
    return lambda nb: nb.by_id[cell].update(source=nb.by_id[cell].source.replace(old, new))


def more_output(output):
    return lambda nb: nb.by_id["value"].outputs.append(nbformat.from_dict(output))


OFFENCES = [
    ("python", source("value", "%pip install x")),
    ("python", source("value", "!ls")),
    ("python", source("value", "print(")),
    ("time", source("value", "%timeit f()")),
    ("time", source("value", "import time\nt = time.perf_counter()\nprint(time.perf_counter() - t)")),
    ("time", source("value", "from time import time\ntime()")),
    ("time", says("it took about 3.1 seconds\n")),
    ("time", says("12.5 ms per step\n")),
    ("seeds", source("value", "np.random.rand(3)")),
    ("seeds", source("value", "np.random.seed(0)")),
    ("seeds", source("value", "def f():\n    return np.random.default_rng().normal()")),
    ("seeds", source("value", "import random\nrandom.shuffle([1])")),
    ("seeds", source("value", "from random import choice\nchoice([1])")),
    ("seeds", source("value", "torch.randn(3)")),
    ("seeds", source("value", "lmbook.randn(3)\nlmbook.manual_seed(0)")),
    ("seeds", source("value", "layer = nn.Linear(3, 2)")),
    ("seeds", source("value", "model = nn.Sequential(torch.nn.LSTM(3, 2))")),
    ("seeds", source("value", "from lmbook.data import DataLoader\nDataLoader(d, shuffle=True)")),
    ("length", source("value", "x = 1\n" * 41)),
    ("width", source("value", "x = [" + "1, " * 40 + "]")),
    ("ending", source("figure", "plt.plot([1, 2]);")),
    ("ending", source("figure", "plt.show()\nprint('after')")),
    ("counts", lambda nb: nb.by_id["value"].update(execution_count=7)),
    ("counts", lambda nb: nb.by_id["value"].update(execution_count=None)),
    ("errors", more_output({"output_type": "stream", "name": "stderr", "text": "careful"})),
    ("errors", more_output({"output_type": "error", "ename": "E", "evalue": "v", "traceback": []})),
    ("widgets", more_output({"output_type": "display_data", "metadata": {},
                             "data": {"application/vnd.jupyter.widget-view+json": {}}})),
    ("widgets", lambda nb: nb.metadata.update(widgets=nbformat.from_dict({"state": {}}))),
    ("address", says("<Thing at 0x7f3a2b4c5d6e>\n")),
    ("address", says("<lmbook.nn.Linear object at somewhere>\n")),
    ("path", says("saved to /home/somebody/model.safetensors\n")),
    ("path", says("C:\\Users\\somebody\n")),
    ("size", says("x" * 300_001)),
    ("size", lambda nb: nb.by_id["prose"].update(source="x " * 1_500_001)),
    ("figure", lambda nb: nb.by_id["figure"].update(outputs=[])),
    ("figure", lambda nb: nb.by_id["explorer"].update(outputs=[])),
    ("figure", lambda nb: nb.by_id["figure"].outputs.append(nb.by_id["explorer"].outputs[0])),
    ("caption", meta("figure", figure={"name": "fig-2-1-3-line"})),
    ("caption", meta("figure", figure={"caption": "A line."})),
    ("caption", meta("figure", figure={"name": "fig-2-1-3-explorer", "caption": "A line."})),
    ("alt", meta("figure", image={"alt": " "})),
    ("alt", prose("![](picture.png)")),
    ("title", replace("title", "(sec-2-1-3)=", "(sec-2-1-4)=")),
    ("title", replace("title", '<span lang="zh">反向传播算法</span>', "")),
    ("title", replace("title", "(sec-2-1-3)=", "")),
    ("title", prose("## 2.1 A numbered heading")),
    ("title", prose("# A second title")),
    ("frame", without("What you will learn")),
    ("frame", without("{admonition} Predict")),
    ("frame", without("## Summary")),
    ("frame", without("## Exercises")),
    ("frame", without("## Further reading")),
    ("frame", without("{cite:t}`rumelhart1986`")),
    ("explorer", source("explorer", "plt.plot([1])\nplt.show()")),
    ("fence", prose("```{note}\nA note.\n```")),
    ("cite", prose("As shown {cite}`rumelhart1986, nobody2099`.")),
    ("exercise", without("- **2.1.3-c** Three.")),
    ("exercise", lambda nb: [c.update(source=c.source.replace("2.1.3-b", "2.1.3-z")) for c in nb.cells]),
    ("number", prose("The accuracy is 97.3 % here.")),
    ("number", prose("The loss falls to 1.34.")),
    ("number", prose("It was 0.9 {cite}`rumelhart1986`. Now it is 0.8.")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "plant"), OFFENCES)
def test_a_planted_offence_is_found_and_the_finding_says_how_to_mend_it(nb, root, rule, plant):
    plant(nb)
    problems = [p for p in found(nb, root) if p.rule == rule]
    assert problems
    assert all(p.what and p.mend for p in problems)


def test_every_rule_has_a_planted_offence(nb, root):
    silent = set(lint.RULES)
    for _, plant in OFFENCES:
        other = copy(nb)
        plant(other)
        found(other, root)
        view = lint.View(root / NAME, root)
        silent = {rule for rule in silent if not list(rule(view))}
    assert not silent


SOUND = [
    source("value", "rng = np.random.default_rng(0)\nrng.normal()"),
    source("value", "lmbook.manual_seed(0)\nlayer = nn.Linear(3, 2)\nlmbook.randn(3)"),
    source("value", "torch.manual_seed(0)\ntorch.randn(3)"),
    source("value", "torch.randn(3, generator=g)"),
    source(
        "value",
        "class Model(nn.Module):\n    def __init__(self):\n        self.a = nn.Linear(1, 1)",
    ),
    source("value", "import random\nr = random.Random(0)\nr.random()"),
    source("value", "import time\nstart = time.perf_counter()"),
    says("sizes 3 x 4; see lmbook/viz/graphs.py and http://example.org/home/page\n"),
    prose("Section 2.1 and Python 3.11 are not measurements; $x = 0.7$ and `0.9` are not prose."),
    prose("Rounded, the error is 0.3, which is 25.1 %."),
]


@pytest.mark.parametrize("change", SOUND)
def test_sound_variants_are_left_alone(nb, root, change):
    change(nb)
    assert [str(p) for p in found(nb, root)] == []


def test_tags_allow_one_cell_an_exception(nb, root):
    nb.by_id["value"].source = "import time\nprint(time.perf_counter() > 0)"
    nb.by_id["prose"].source = "Half of 3 is 1.5."
    assert {p.rule for p in found(nb, root)} == {"time", "number"}
    nb.by_id["value"].metadata["tags"] = ["timing-verdict"]
    nb.by_id["prose"].metadata["tags"] = ["numbers-ok"]
    assert found(nb, root) == []


def test_kinds_of_notebooks_are_held_to_different_rules(nb, root):
    assert "frame" in {p.rule for p in found(empty(nb), root)}
    assert "frame" not in {p.rule for p in found(empty(nb), root, "chapters/02/00_chapter.ipynb")}
    assert "title" not in {p.rule for p in found(empty(nb), root, "solutions/02/03_x.ipynb")}
    assert found(empty(nb), root, "exercises/02/03_x.ipynb") == []


def empty(nb):
    other = copy(nb)
    other.node.cells = [c for c in other.cells if c.id == "value"]
    return other


def test_command_line_reports_and_fails(nb, root, capsys):
    nb.by_id["value"].source = "np.random.rand(3)"
    found(nb, root)
    assert lint.main([str(root / NAME)]) == 1
    out = capsys.readouterr().out
    assert "hidden global state [seeds]" in out and "mend: rng = np.random.default_rng(0)" in out
