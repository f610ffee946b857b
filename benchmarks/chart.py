"""The chart of the book's page on speed: time over PyTorch eager's, workload by workload."""

from pathlib import Path

from benchmarks.report import FACTS, read
from benchmarks.runner import ROOT

PICTURE = ROOT / "book" / "_static" / "speed.png"
SHORT = {
    "mlp-64": "MLP, batch 64", "mlp-512": "MLP, batch 512", "cnn": "CNN", "resnet": "ResNet",
    "lstm-128": "LSTM, 128", "lstm-256": "LSTM, 256", "gpt-128": "GPT, d = 128",
    "gpt-256": "GPT, d = 256", "generate-128": "Writing, d = 128",
    "generate-256": "Writing, d = 256", "generate-512": "Writing, d = 512",
    "generate-gpt2": "Writing, GPT-2",
}  # fmt: skip


def draw(path: Path = PICTURE) -> Path:
    """Draw the register, for light and dark pages alike."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from lmbook.viz import figsize, style
    from lmbook.viz.colours import BLUE, INK, ORANGE

    ratios: dict[str, dict[str, float]] = {}
    for row in read(FACTS):
        ratios.setdefault(row["workload"], {})[row["variant"]] = float(row["ratio"])
    style()
    fig, ax = plt.subplots(figsize=figsize(1, 0.1 + 0.058 * len(ratios)))
    marks = [("tuned", "PyTorch tuned", INK, "|", 15), ("numpy", "lmbook, NumPy", ORANGE, "o", 9),
             ("fast", "lmbook, fast", BLUE, "D", 9)]  # fmt: skip
    rows = list(ratios)
    for y, name in enumerate(rows):
        held = [r for v, r in ratios[name].items() if v != "jax"]
        ax.plot([min(held), max(held)], [y, y], color=INK, lw=0.8, alpha=0.5)
    for variant, label, colour, mark, size in marks:
        points = [(ratios[n][variant], y) for y, n in enumerate(rows) if variant in ratios[n]]
        ax.plot(*zip(*points), mark, color=colour, ms=size, mew=2.5 if mark == "|" else 0,
                label=label)  # fmt: skip
    ax.axvline(1, color=INK, lw=1.5, label="PyTorch eager")
    ax.set_yticks(range(len(rows)), [SHORT[n] for n in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, None)
    ax.set_xlabel("Time of a step over PyTorch eager's (less is faster)")
    ax.grid(axis="y", visible=False)
    fig.legend(loc="outside upper center", ncols=2, columnspacing=1.2, handletextpad=0.4)
    fig.savefig(path, dpi=200, metadata={"Software": None})
    plt.close(fig)
    return path
