"""Rules about code cells: seeds, clocks, plain Python, length, width, how a figure ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from book.tools.rules import Problem, View, pictures

LONGEST = 40
WIDEST = 96  # the columns of the site at 1280 px; beyond them a reader scrolls sideways
MODERN = {"default_rng", "Generator", "SeedSequence", "PCG64", "Philox", "BitGenerator"}
DRAWS = {
    *("rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial"),
    *("rand_like", "randn_like", "randint_like"),
}
LAYERS = {
    *("Linear", "Embedding", "RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell", "Bilinear"),
    *("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "MultiheadAttention"),
    *("Transformer", "TransformerEncoderLayer", "TransformerDecoderLayer", "SwiGLU"),
    *("TransformerEncoder", "TransformerDecoder", "GroupedQueryAttention"),
}
CLOCKS = {"time", "perf_counter", "monotonic", "process_time", "perf_counter_ns", "time_ns"}


def python(view: View) -> Iterator[Problem]:
    """Cells are plain Python."""
    for i, cell in view.code:
        first = [s.lstrip()[:1] for s in cell.source.splitlines()]
        if i not in view.trees:
            timed = "%time" in cell.source
            yield Problem(
                "time" if timed else "python",
                i,
                "a timing magic prints a time that no second run repeats"
                if timed
                else "a magic or shell line"
                if {"%", "!"} & set(first)
                else "not valid Python",
                "measure with time.perf_counter() and print a rounded verdict, tag timing-verdict"
                if timed
                else "write plain Python; the set-up cell alone installs things",
            )


def seeds(view: View) -> Iterator[Problem]:
    """Whatever draws random numbers is seeded in the same cell."""
    for i, tree in view.trees.items():
        seeded = {"lmbook": False, "torch": False}
        top = {id(call) for call, _ in view.calls(tree, inside=False)}
        for call, name in view.calls(tree):
            package, _, rest = name.partition(".")
            last = name.rpartition(".")[2]
            keywords = {k.arg: k.value for k in call.keywords}
            given = bool(call.args or keywords.get("seed"))
            if name.startswith("numpy.random."):
                if last not in MODERN:
                    yield Problem(
                        "seeds",
                        i,
                        f"{name} draws from NumPy's hidden global state",
                        "rng = np.random.default_rng(0), then rng.normal(...)",
                    )
                elif last == "default_rng" and not given:
                    yield Problem(
                        "seeds",
                        i,
                        "default_rng() without a seed",
                        "give the seed: np.random.default_rng(0)",
                    )
            elif package == "random" and rest and _imported(view, "random"):
                if last != "Random" or not given:
                    yield Problem(
                        "seeds",
                        i,
                        f"{name} draws from a hidden global state",
                        "random.Random(0), or np.random.default_rng(0)",
                    )
            elif package in seeded:
                if last == "manual_seed" and id(call) in top:
                    seeded[package] = True
                elif seeded[package] or "generator" in keywords or id(call) not in top:
                    continue
                elif (
                    (last in DRAWS and name.count(".") == 1)
                    or (".nn." in name and last in LAYERS)
                    or (last == "DataLoader" and _true(keywords.get("shuffle")))
                ):
                    yield Problem(
                        "seeds",
                        i,
                        f"{name}(...) draws random numbers without a seed",
                        f"call {package}.manual_seed(0) before it in this cell",
                    )


def _imported(view: View, module: str) -> bool:
    return any(name.split(".")[0] == module for name in view.aliases.values())


def _true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def clocks(view: View) -> Iterator[Problem]:
    """No cell that reads a clock shows what it read."""
    for i, cell in view.code:
        tree = view.trees.get(i)
        if tree is None or view.has_tag(cell, "timing-verdict"):
            continue
        names = [name for _, name in view.calls(tree)]
        reads = any(
            (n.startswith("time.") and n.rpartition(".")[2] in CLOCKS) or n.startswith("timeit.")
            for n in names
        )
        shows = "print" in names or (tree.body and isinstance(tree.body[-1], ast.Expr))
        if reads and shows:
            yield Problem(
                "time",
                i,
                "reads a clock and shows something",
                "print only a rounded verdict (ratio > 10), tag the cell timing-verdict",
            )


def length(view: View) -> Iterator[Problem]:
    """One idea a cell."""
    for i, cell in view.code:
        lines = cell.source.count("\n") + 1
        if lines > LONGEST:
            yield Problem(
                "length",
                i,
                f"{lines} lines, more than {LONGEST}",
                "split it where the idea changes, or move code into the package",
            )


def width(view: View) -> Iterator[Problem]:
    """A line fits on the page."""
    for i, cell in view.code:
        over = [n for n, line in enumerate(cell.source.splitlines(), 1) if len(line) > WIDEST]
        if over and cell.id != "setup":
            yield Problem(
                "width",
                i,
                f"line {', '.join(map(str, over))} longer than {WIDEST} characters",
                "break it after a bracket; a long text becomes two beside each other",
            )


def endings(view: View) -> Iterator[Problem]:
    """A figure ends with plt.show(), or with the explorer that draws it."""
    for i, cell in view.code:
        if cell.source.rstrip().endswith(";"):
            yield Problem(
                "ending",
                i,
                "ends with a semicolon, which nbval does not honour",
                "end a figure with plt.show()",
            )
        tree = view.trees.get(i)
        if not pictures(cell) or tree is None or not tree.body:
            continue
        last = tree.body[-1]
        call = last.value if isinstance(last, ast.Expr) else None
        name = view.dotted(call.func) if isinstance(call, ast.Call) else ""
        if name != "matplotlib.pyplot.show" and not name.endswith("explore"):
            yield Problem(
                "ending",
                i,
                "draws a figure but does not end with plt.show()",
                "put plt.show() on the last line",
            )


RULES = (python, seeds, clocks, length, width, endings)
