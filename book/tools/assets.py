"""Pictures of the site that code draws, and the checksums of the vendored files.

python -m book.tools.assets            draw the hero figure and the social card (half a minute)
python -m book.tools.assets vendor     write book/_static/vendor/checksums.txt
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "book" / "_static"
VENDOR = STATIC / "vendor"

STEPS = (0, 50, 100, 150, 1000)  # the moments that the hero figure shows
PHONE_STEPS = (50, 100, 1000)
PAGE = {"light": "#ffffff", "dark": "#14181e"}
TURNS = 4.2 * np.pi  # how far each spiral winds, in radians
DOTS = {"light": ("#114a96", "#7c3a00"), "dark": ("#a9cdfb", "#ffcf94")}
COLD, WARM = "#2478e4", "#d8780c"


def checksums() -> str:
    """One line a vendored file: SHA-256, two spaces, path."""
    files = sorted(
        p for p in VENDOR.rglob("*") if p.is_file() and p.name not in {"README.md", "checksums.txt"}
    )
    return "".join(
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(VENDOR).as_posix()}\n"
        for p in files
    )


def spirals(n: int = 150, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Two interleaved spirals of n points each: points (2n, 2), labels (2n,)."""
    rng = np.random.default_rng(seed)
    t = np.sqrt(rng.uniform(0.02, 1, n)) * TURNS
    one = np.stack([t * np.cos(t), t * np.sin(t)], axis=1) / TURNS
    points = np.concatenate([one, -one]) + rng.normal(0, 0.018, (2 * n, 2))
    return points.astype(np.float32), np.repeat([0, 1], n)


def learned_fields(steps: tuple[int, ...] = STEPS, side: int = 220) -> dict[int, np.ndarray]:
    """Probability of the second spiral on a grid, as this book's engine learns it."""
    import lmbook
    from lmbook import functional as F
    from lmbook import nn, optim

    lmbook.manual_seed(0)
    points, labels = spirals()
    x, y = lmbook.tensor(points), lmbook.tensor(labels)
    axis = np.linspace(-1.15, 1.15, side, dtype=np.float32)
    grid = lmbook.tensor(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2))
    net = nn.Sequential(
        nn.Linear(2, 64),
        nn.Tanh(),
        nn.Linear(64, 64),
        nn.Tanh(),
        nn.Linear(64, 64),
        nn.Tanh(),
        nn.Linear(64, 2),
    )
    optimiser = optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    fields = {}
    for step in range(max(steps) + 1):
        if step in steps:
            with lmbook.no_grad():
                fields[step] = F.softmax(net(grid), dim=-1).numpy()[:, 1].reshape(side, side)
        loss = F.cross_entropy(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return fields


def colours(page: str) -> Any:
    """From one hue to the other through the page's own colour."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("page", [COLD, PAGE[page], WARM])


def draw_panel(axes: Any, field: np.ndarray, page: str) -> None:
    points, labels = spirals()
    box = (-1.15, 1.15, -1.15, 1.15)
    shade = 0.5 + (field - 0.5) * (0.5 if page == "light" else 0.55)
    axes.imshow(
        shade,
        extent=box,
        origin="lower",
        cmap=colours(page),
        vmin=0,
        vmax=1,
        interpolation="bilinear",
    )
    axes.contour(field, levels=[0.5], extent=box, colors="#737d8c", linewidths=1.1)
    for label, colour in enumerate(DOTS[page]):
        one = points[labels == label]
        axes.scatter(one[:, 0], one[:, 1], s=11, color=colour, edgecolors="none")
    axes.set_axis_off()


def hero(fields: dict[int, np.ndarray], page: str, path: Path) -> None:
    """The row of panels on the landing page, for a light or a dark page."""
    import matplotlib.pyplot as plt

    figure, row = plt.subplots(1, len(fields), figsize=(2.5 * len(fields), 2.85))
    ink = "#3d4853" if page == "light" else "#c3ced8"
    for axes, (step, field) in zip(row, fields.items(), strict=True):
        draw_panel(axes, field, page)
        axes.set_title(f"step {step}", fontsize=16, color=ink, pad=6)
    figure.subplots_adjust(left=0.002, right=0.998, top=0.89, bottom=0.005, wspace=0.04)
    figure.savefig(path, dpi=130, transparent=True, metadata={"Software": None})
    plt.close(figure)


def social_card(fields: dict[int, np.ndarray], path: Path) -> None:
    """The picture that a link to the book shows, 1200 by 630."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(12, 6.3), facecolor="#101a2b")
    for i, field in enumerate(list(fields.values())[-4:]):
        axes = figure.add_axes((0.045 + i * 0.2315, 0.055, 0.215, 0.215 * 12 / 6.3))
        draw_panel(axes, field, "dark")
    figure.text(
        0.045,
        0.79,
        "Large Models from Scratch",
        color="#ffffff",
        fontsize=46,
        weight="bold",
        family="serif",
    )
    figure.text(
        0.045, 0.66,
        "A textbook as code: from a neuron to the Transformer.\nEvery output verified, every layer checked.",
        color="#b9d7fc", fontsize=22, linespacing=1.5, va="center",
    )  # fmt: skip
    figure.text(
        0.045, 0.525, "Two spirals, learned by the book's own engine:", color="#8fa3bd", fontsize=13
    )
    figure.savefig(path, dpi=100, facecolor=figure.get_facecolor(), metadata={"Software": None})
    plt.close(figure)


def main(arguments: list[str]) -> int:
    if arguments == ["vendor"]:
        (VENDOR / "checksums.txt").write_text(checksums(), encoding="utf-8", newline="\n")
        return 0
    import matplotlib

    matplotlib.use("agg")
    fields = learned_fields()
    few = {step: fields[step] for step in PHONE_STEPS}
    for page, ending in (("light", ""), ("dark", "-dark")):
        hero(fields, page, STATIC / f"hero{ending}.png")
        hero(few, page, STATIC / f"hero-phone{ending}.png")
    social_card(fields, STATIC / "social-card.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
