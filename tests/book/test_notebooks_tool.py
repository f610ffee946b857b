"""Executing, cleaning, comparing, setting up and authoring notebooks."""

import csv
import json

import nbformat
import pytest

from book.tools import author, notebooks, repository


def notebook(*sources):
    cells = [nbformat.v4.new_code_cell(s, id=f"c{i}") for i, s in enumerate(sources)]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture
def stored(tmp_path):
    """Write a notebook of these sources and return its path."""

    def write(*sources):
        path = tmp_path / "a.ipynb"
        notebooks.write(notebook(*sources), path)
        return path

    return write


@pytest.mark.slow
def test_execute_stores_clean_outputs_and_a_second_run_changes_no_byte(stored):
    path = stored(
        "import os\nprint(os.environ['LMBOOK_LIVE'], os.environ['LMBOOK_PROGRESS'])",
        "",
        "for i in range(3):\n    print(i, flush=True)",
        "import matplotlib.pyplot as plt\nfrom lmbook import viz\nviz.style()\n"
        "viz.explore(lambda a=1: plt.plot([0, a]), a=(0, 2))",
        "6 * 7",
    )
    nb = notebooks.read(path)
    nb.cells[3].metadata["mystnb"] = {"image": {"alt": "A line."}}
    nb.cells[3].metadata["collapsed"] = True
    nb.metadata["widgets"] = {"state": {}}
    notebooks.write(nb, path)
    seconds, peak = notebooks.execute(path)
    first = path.read_bytes()
    nb = notebooks.read(path)
    assert seconds > 0 and peak > 20
    assert [c.execution_count for c in nb.cells] == [1, None, 2, 3, 4]
    assert nb.cells[0].outputs[0].text == "0 0\n"
    assert [o.text for o in nb.cells[2].outputs] == ["0\n1\n2\n"]
    assert nb.cells[4].outputs[0].execution_count == 4
    (picture,) = nb.cells[3].outputs
    assert set(picture.data) == {"image/png", "text/plain"}
    width = picture.metadata["image/png"]["width"]
    assert nb.cells[3].metadata == {"mystnb": {"image": {"alt": "A line.", "width": f"{width}px"}}}
    assert nb.metadata.keys() == {"kernelspec", "language_info"}
    assert first.endswith(b"}\n")
    notebooks.execute(path)
    assert path.read_bytes() == first
    assert notebooks.verify(path) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "cell 1 raised ZeroDivisionError"),
        ("import warnings\nwarnings.warn('careful')", "(?s)cell 1 wrote to stderr.*careful"),
    ],
)
def test_execute_refuses_errors_and_stderr_and_leaves_the_file_alone(stored, code, message):
    path = stored("print(1)", code)
    before = path.read_bytes()
    with pytest.raises(notebooks.NotebookError, match=message):
        notebooks.execute(path)
    assert path.read_bytes() == before
    assert notebooks.main(["execute", str(path)]) == 1


@pytest.mark.slow
def test_verify_finds_what_depends_on_the_environment(stored, capsys):
    path = stored("import os\nprint('backend', os.environ.get('LMBOOK_BACKEND'))", "print(1)")
    notebooks.execute(path)
    assert notebooks.main(["verify", str(path)]) == 0
    texts, _ = notebooks.verify(path, {"LMBOOK_BACKEND": "numpy"})
    assert [(d.cell, d.name, d.fresh) for d in texts] == [(0, "stdout", "backend numpy")]
    environments = notebooks.PERTURBED
    for key in ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "LMBOOK_BACKEND"):
        assert len({e.get(key) for e in environments}) >= 2


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def test_differences_are_exact_and_named():
    a, b = notebook("x", "y", "z"), notebook("x", "y", "z")
    a.cells[0].outputs, b.cells[0].outputs = [stream("one\ntwo\n")], [stream("one\ntwo \n")]
    a.cells[1].outputs = [stream("here\n")]
    for nb, png in ((a, "AAAA"), (b, "BBBB")):
        data = {"image/png": png, "text/plain": "<Figure>"}
        nb.cells[2].outputs = [nbformat.v4.new_output("display_data", data=data)]
    first, second = notebooks.differences(a, b)
    assert (first.cell, first.stored, first.fresh) == (0, "two", "two ")
    assert (second.cell, second.name, second.stored, second.fresh) == (
        1, "kinds of output", "stdout", "nothing",
    )  # fmt: skip
    assert notebooks.changed_pictures(a, b) == [2]


def test_sounds_may_differ_and_their_words_may_not():
    a, b, c = (notebook("x") for _ in range(3))
    for nb, wav, words in ((a, "AAAA", "one"), (b, "BBBB", "one"), (c, "AAAA", "two")):
        page = f'<audio src="data:audio/wav;base64,{wav}"></audio>{words}'
        data = {"text/html": page, "text/plain": "a sound"}
        nb.cells[0].outputs = [nbformat.v4.new_output("display_data", data=data)]
    assert notebooks.differences(a, b) == []
    (found,) = notebooks.differences(a, c)
    assert found.name == "text/html" and found.fresh.endswith("two")


def test_normalise_mends_ids_streams_counts_and_metadata():
    nb = notebook("print(1)", "2")
    nb.cells[1].id = nb.cells[0].id
    nb.cells[0].outputs = [stream("a"), stream("b"), stream("c", "stderr")]
    nb.cells[0].execution_count = 17
    nb.cells[0].metadata["ExecuteTime"] = {"start": 1}
    nb.cells[1].execution_count = 40
    nb.cells[1].outputs = [
        nbformat.v4.new_output("execute_result", data={"text/plain": "2"}, execution_count=40),
        nbformat.v4.new_output(
            "display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}
        ),
    ]
    clean = notebooks.normalise(nb)
    assert clean.cells[0].id != clean.cells[1].id
    assert [o.text for o in clean.cells[0].outputs] == ["ab", "c"]
    assert [c.execution_count for c in clean.cells] == [1, 2]
    assert clean.cells[1].outputs[0].execution_count == 2 and len(clean.cells[1].outputs) == 1
    assert clean.cells[0].metadata == {}
    nbformat.validate(clean)


def test_costs_keep_one_row_a_notebook(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "COSTS", tmp_path / "facts" / "costs.csv")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    for name in ("a.ipynb", "b.ipynb"):
        (tmp_path / name).touch()
    notebooks.record("b.ipynb", 1.234, 100.4)
    notebooks.record("a.ipynb", 2.0, 50.0)
    notebooks.record("b.ipynb", 3.0, 120.0)
    with notebooks.COSTS.open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["name", "seconds", "peak MB", "machine"]
    assert [r[:3] for r in rows[1:]] == [["a.ipynb", "2.0", "50"], ["b.ipynb", "3.0", "120"]]
    assert "cores" in rows[1][3] and "Python 3" in rows[1][3]


def test_setup_cell_installs_from_the_repository_only_where_lmbook_is_missing(capsys):
    source = notebooks.setup_source()
    assert repository.install_line() in source
    exec(compile(source, "setup", "exec"), {})
    assert capsys.readouterr().out == ""
    assert all("/" not in line or repository.url() in line for line in source.splitlines())


def test_setup_writes_the_cell_and_check_only_looks(stored, capsys):
    path = stored("print(1)")
    before = path.read_bytes()
    assert notebooks.main(["setup", "--check", str(path)]) == 1
    assert path.read_bytes() == before
    assert notebooks.main(["setup", str(path)]) == 0
    cell = notebooks.read(path).cells[0]
    assert "setup" in cell.metadata.tags and cell.source == notebooks.setup_source()
    assert notebooks.main(["setup", "--check", str(path)]) == 0
    nb = notebooks.read(path)
    nb.cells[0].source = "import lmbook"
    notebooks.write(nb, path)
    assert notebooks.main(["setup", "--check", str(path)]) == 1


def test_author_keeps_outputs_of_unchanged_cells_and_ids_on_insertion(tmp_path):
    def build(*codes):
        nb = author.Notebook(tmp_path / "a.ipynb", "2.1.3", "Title", "标题")
        for code in codes:
            nb.code(code)
        nb.save()
        return notebooks.read(tmp_path / "a.ipynb")

    first = build("x = 1", "print(x)", "print(x)")
    assert len({c.id for c in first.cells}) == 5
    first.cells[3].outputs, first.cells[3].execution_count = [stream("1\n")], 3
    notebooks.write(first, tmp_path / "a.ipynb")
    second = build("x = 1", "y = 2", "print(x)", "print(x)")
    assert {c.id for c in first.cells} < {c.id for c in second.cells}
    assert second.cells[4].outputs[0].text == "1\n"
    assert second.cells[3].outputs == [] and second.cells[3].execution_count is None
    nbformat.validate(second)


def test_author_writes_title_boxes_figures_and_exercises(tmp_path):
    nb = author.Notebook(tmp_path / "a.ipynb", "2.1.3", "Back-propagation", "反向传播算法")
    nb.learn(["a"], ["b"])
    nb.predict("Why?", "Because.")
    nb.code("plt.show()", figure=("graph", "A  caption\nover lines.", "alt"), width="70%")
    nb.exercises({"2.1.3-a": "One."})
    nb.further("{cite:t}`x`")
    cells = json.loads(nb.save().read_text())["cells"]
    text = ["".join(c["source"]) for c in cells]
    assert text[0].splitlines()[0] == "(sec-2-1-3)=" and "# 2.1.3 Back-propagation" in text[0]
    assert '<span lang="zh">反向传播算法</span>' in text[0]
    assert cells[1]["metadata"]["tags"][0] == "setup"
    assert ":::{dropdown} Answer\nBecause.\n:::" in text[3]
    assert cells[4]["metadata"]["mystnb"] == {
        "figure": {"name": "fig-2-1-3-graph", "caption": "A caption over lines."},
        "image": {"alt": "alt", "width": "70%"},
    }
    assert text[5] == "## Exercises\n\n- **2.1.3-a** One."
    with pytest.raises(ValueError, match="two cells with id 'setup'"):
        nb.md("x", id="setup")
