"""Place the nodes of a directed acyclic graph in layers, with few crossings and short bends.

Source: K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system
structures", 1981; order by barycentres, positions by isotonic least squares.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Key = Any  # whatever names a node; must be hashable
SWEEPS = 12


def ranks(nodes: Sequence[Key], parents: dict[Key, list[Key]]) -> dict[Key, int]:
    """Layer of each node: after all its parents; a source stands just before its first consumer.

    `nodes` must list parents before children.
    """
    rank: dict[Key, int] = {}
    for n in nodes:
        rank[n] = 1 + max((rank[p] for p in parents[n]), default=-1)
    for n in nodes:
        if not parents[n]:
            consumers = [rank[c] for c in nodes if n in parents[c]]
            rank[n] = min(consumers, default=1) - 1
    return rank


def spread(wanted: np.ndarray) -> np.ndarray:
    """Positions nearest to `wanted` that keep their order and stay at least one apart."""
    blocks: list[list[float]] = []  # [sum, count] of pooled neighbours
    for value in wanted - np.arange(len(wanted)):
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    return np.concatenate([[t / c] * int(c) for t, c in blocks]) + np.arange(len(wanted))


def layout(
    nodes: Sequence[Key], parents: dict[Key, list[Key]]
) -> tuple[dict[Key, tuple[float, float]], dict[tuple[Key, Key], list[tuple[float, float]]]]:
    """(layer, position) of each node, and the points each edge (parent, child) passes through.

    An edge over several layers gets a way point in each, so that it runs round the nodes between.
    """
    rank = ranks(nodes, parents)
    layers: list[list[Key]] = [[] for _ in range(max(rank.values()) + 1)]
    for n in nodes:
        layers[rank[n]].append(n)
    chains: dict[tuple[Key, Key], list[Key]] = {}
    up: dict[Key, list[Key]] = {n: [] for n in nodes}
    down: dict[Key, list[Key]] = {n: [] for n in nodes}
    for child in nodes:
        for parent in dict.fromkeys(parents[child]):
            chain: list[Key] = [parent]
            for r in range(rank[parent] + 1, rank[child]):
                way = ("way", parent, child, r)
                layers[r].append(way)
                up[way], down[way] = [], []
                chain.append(way)
            chain.append(child)
            for a, b in pairwise(chain):
                down[a].append(b)
                up[b].append(a)
            chains[parent, child] = chain

    place = {n: float(i) for layer in layers for i, n in enumerate(layer)}
    for sweep in range(SWEEPS):
        near = up if sweep % 2 == 0 else down
        for r in range(len(layers)) if sweep % 2 == 0 else reversed(range(len(layers))):
            layer = layers[r]
            wish = {n: np.mean([place[m] for m in near[n]]) if near[n] else place[n] for n in layer}
            layer.sort(key=lambda n: wish[n])
            for n, p in zip(layer, spread(np.array([wish[n] for n in layer]))):
                place[n] = float(p)

    at = {n: (float(r), place[n]) for r, layer in enumerate(layers) for n in layer}
    ways = {edge: [at[n] for n in chain] for edge, chain in chains.items()}
    return {n: at[n] for n in nodes}, ways
