"""What makes a chip fast: rooflines, a systolic array, fixed-point arithmetic, energy and carbon."""

from lmbook.accelerators.chips import Chip, chip, chips
from lmbook.accelerators.energy import PUBLISHED, Footprint, PublishedRun, footprint
from lmbook.accelerators.fixed_point import (
    FixedPoint,
    int_matmul,
    multiply_accumulate,
    quantise,
    wrap,
)
from lmbook.accelerators.measured import Measured, example, measure
from lmbook.accelerators.roofline import (
    Roofline,
    Work,
    attainable,
    attention,
    decode,
    matmul,
    matvec,
    vector_add,
)
from lmbook.accelerators.systolic import Frame, SystolicArray, SystolicRun, cycles

__all__ = [
    "PUBLISHED", "Chip", "FixedPoint", "Footprint", "Frame", "Measured", "PublishedRun", "Roofline",
    "SystolicArray", "SystolicRun", "Work", "attainable", "attention", "chip", "chips", "cycles",
    "decode", "example", "footprint", "int_matmul", "matmul", "matvec", "measure",
    "multiply_accumulate", "quantise", "vector_add", "wrap",
]  # fmt: skip
