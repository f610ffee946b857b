"""Level 6: figures in the house style, and explorers for live notebooks.

Call `style()` once; after that plain matplotlib and every helper here draw pictures that read on a
white page and on a dark one.
"""

from lmbook.viz.charts import bars, curves, histograms
from lmbook.viz.colours import (
    BLUE,
    DIVERGING,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PALETTE,
    PINK,
    RED,
    SEQUENTIAL,
    VIOLET,
    contrast,
    ink_on,
)
from lmbook.viz.explorer import explore
from lmbook.viz.graphs import graph
from lmbook.viz.kernels import show_kernel
from lmbook.viz.maps import attention, heatmap, images
from lmbook.viz.memory_access import banks, lanes, sectors
from lmbook.viz.multiprocessor import occupancy
from lmbook.viz.networks import network
from lmbook.viz.pipelines import pipeline
from lmbook.viz.rooflines import roofline
from lmbook.viz.runs import history, reliability
from lmbook.viz.sounds import sound
from lmbook.viz.source import show_source
from lmbook.viz.stacks import stacks
from lmbook.viz.styling import WIDTH, figsize, style
from lmbook.viz.surfaces import surface
from lmbook.viz.systolic import systolic
from lmbook.viz.texts import text
from lmbook.viz.timelines import timeline
from lmbook.viz.traffic import traffic
from lmbook.viz.trees import tree

__all__ = [
    "BLUE", "DIVERGING", "FAINT", "GREEN", "INK", "ORANGE", "PALETTE", "PINK", "RED", "SEQUENTIAL",
    "VIOLET", "WIDTH", "attention", "banks", "bars", "contrast", "curves", "explore", "figsize",
    "graph", "heatmap", "histograms", "history", "images", "ink_on", "lanes", "network",
    "occupancy", "pipeline", "reliability", "roofline", "sectors", "show_kernel", "show_source",
    "sound", "stacks", "style", "surface", "systolic", "text", "timeline", "traffic", "tree",
]  # fmt: skip
