"""The page of published training runs, book/plans.md: what was reported, what the planner says, the miss.

python -m book.tools.plans            run the planner on all of them and write the page
python -m book.tools.plans --check    exit 1 when the page says something else

The page is made of nothing but published figures (`lmbook.parallel.planner.tables` and `.published`) and
what the package computes. Tests of the same figures, each against its own limit, stand in
tests/parallel/test_planner.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from book.tools.plan_checks import checks, kept_work, percent
from lmbook.parallel.planner import plan, predict, published

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "book" / "plans.md"

HEAD = """\
(plans)=
# Plans against published runs

[计划与已发表的训练对照]{{.subtitle lang=zh}}

The planner `lmbook.parallel.planner` predicts parameters, FLOP, memory, time and price of a training run
from its sizes. Here it is held against what others have printed. `python -m book.tools.plans` computes this
page; nothing in it is written by hand but the published figures and the reasons, and
`tests/parallel/test_planner.py` repeats each comparison with a limit of its own. {{ref}}`Section 3.3.7
<sec-3-3-7>` explains the formulas.

*Miss* is the model's figure over the reported one, less one; of several figures, the least and the largest.

## What papers compute, computed again

| What | Reported | Model | Miss | Why |
| --- | --- | --- | --- | --- |
{checks}

{open}

## Their layout, our utilisation

The planner gets the published layout and predicts the model FLOP utilisation (MFU). Assumed for all rows:
matrix products reach 0.6 of the accelerator's peak, a message takes 5 µs besides its bytes, and an
accelerator's share of the network is 25 GB/s up to 2021 and 50 GB/s later. What is
assumed for one run stands in its row: what a paper does not print of its layout weighs as much as the 0.6.
Memory is what the planner counts on the fullest accelerator. A reported MFU that is not printed in the paper
is computed from what is in brackets.

| Run | Reported MFU | Model | Miss | Memory | Assumed |
| --- | --- | --- | --- | --- | --- |
{layouts}

{assumed}

The large misses have reasons that the model leaves out. Small matrices do not reach 0.6 of the peak:
that is Megatron-LM's 1.7B and 3.6B, and torchtitan's 8B, whose cards moreover draw 500 W and are slower
than the data sheet. PaLM recomputed less than the whole forward pass (its hardware utilisation is 57.8 %,
1.25 times its MFU, where full recomputation makes 1.33), and its attention and MLP run side by side, which
halves the tensor-parallel messages. DeepSeek-V3's experts multiply in 8 bits with scales for every 128
numbers, 20 of 132 multiprocessors do nothing but communicate, and routing is never even; twice the
utilisation is what the model, which knows none of this, thinks possible. It counts more memory than the
cards have for Llama 3, where tensors were given back early, and for DeepSeek-V3, which keeps activations in
8 bits and computes some again.

## The layout that the planner would choose

The quickest of all layouts that leave a tenth of the memory free, without and with communication hidden
behind computation. These are predictions that nobody has measured. They beat the published layouts in the
model partly because the model lets them: it knows nothing of what a framework supports, of the time to load
a program into a thousand stages, or of matrices that become too small.

d, p, c, t, e are the data, pipeline, context, tensor and expert degrees; z is the stage of ZeRO, v the
chunks of a stage, b the microbatch, and the word says what is computed again.

| Run | Without overlap | MFU | With overlap | MFU |
| --- | --- | --- | --- | --- |
{chosen}
"""


OPEN = """\
One printed figure is no check: Llama 3's share of effective training time, "higher than 90 %"
({{cite}}`dubey2024`, section 3.3.4). The model gives {kept:.1f} % if a checkpoint costs 30 s and a restart 5
minutes; the paper prints neither, and other costs give other shares."""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _source(run: published.Run) -> str:
    key, _, place = run.source.partition(", ")
    return f"{run.name}, {{cite}}`{key}`, {place}"


def _layouts() -> list[str]:
    found = []
    for run in published.runs():
        step = run.predict()
        miss = percent(step.mfu / run.reported - 1).replace("-", "\N{MINUS SIGN}")
        found.append(
            _row(
                [
                    _source(run),
                    f"{100 * run.reported:.1f} %" + (f" ({run.derived})" if run.derived else ""),
                    f"{100 * step.mfu:.1f} %",
                    f"{miss} %",
                    f"{step.memory / 1e9:.0f} GB of {run.cluster.memory / 1e9:.0f}",
                    run.note,
                ]
            )
        )
    return found


def hits(efficiency: float) -> int:
    """Runs that are predicted within 10 %, if matrix products reach this share of the peak."""
    found = 0
    for run in published.runs():
        cluster = replace(run.cluster, efficiency=efficiency)
        step = predict(run.model, cluster, run.layout, run.batch)
        found += abs(step.mfu / run.reported - 1) < 0.1
    return found


def _assumed() -> str:
    """What the predictions would be with other assumptions."""
    shares = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
    lines = [
        "Other assumptions, other hits. Runs within 10 %, by the share of the peak:",
        "",
        _row(["Share of the peak", *(f"{share:g}" for share in shares)]),
        _row(["---"] * (len(shares) + 1)),
        _row([f"Runs of {len(published.runs())}", *(str(hits(share)) for share in shares)]),
        "",
        "And the misses of Llama 3 405B, by the chunks of a stage, of which the table above assumes 8:",
        "",
        _row(["Run", *(f"{chunks} chunks" for chunks in (1, 2, 4, 8))]),
        _row(["---"] * 5),
    ]
    for run in published.llama():
        misses = []
        for chunks in (1, 2, 4, 8):
            step = predict(run.model, run.cluster, replace(run.layout, chunks=chunks), run.batch)
            misses.append(
                percent(step.mfu / run.reported - 1).replace("-", "\N{MINUS SIGN}") + " %"
            )
        lines.append(_row([run.name, *misses]))
    return "\n".join(lines)


def _chosen() -> list[str]:
    found = []
    for run in published.runs():
        cells = [run.name]
        for overlap in (False, True):
            best = plan(run.model, run.cluster, run.batch, overlap=overlap)
            a = best.layout
            degrees = {"d": a.data, "p": a.pipeline, "c": a.context, "t": a.tensor, "e": a.expert}
            text = " ".join(f"{k}{n}" for k, n in degrees.items() if n > 1)
            text += f" z{a.zero}" + (f" v{a.chunks}" if a.chunks > 1 else "")
            text += f" b{a.microbatch} {a.recompute}"
            cells += [text, f"{100 * best.step.mfu:.1f} %"]
        found.append(_row(cells))
    return found


@cache
def page() -> str:
    """The whole page."""
    return HEAD.format(
        checks="\n".join(_row(one.cells()) for one in checks()),
        open=OPEN.format(kept=100 * kept_work()),
        layouts="\n".join(_layouts()),
        assumed=_assumed(),
        chosen="\n".join(_chosen()),
    )


def main(arguments: list[str]) -> int:
    """Command line."""
    text = page()
    if "--check" in arguments:
        if not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
            print("book/plans.md is out of step: run `python -m book.tools.plans`")
            return 1
        return 0
    FILE.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
