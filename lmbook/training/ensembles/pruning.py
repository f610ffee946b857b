"""Pruning by cost and complexity: give up the splits that pay least for their leaves."""

from dataclasses import fields

import numpy as np

from lmbook.training.ensembles.growing import LEAF, Tree


def _weakest(tree: Tree, cost: np.ndarray, left: np.ndarray) -> tuple[int, float, float]:
    """The inner node whose subtree pays least a leaf, what it pays, and the cost of all leaves.

    `left` holds each node's left child, or -1 once it is a leaf. Children are numbered after their
    parents, so a walk from the last node to the first meets them first.
    """
    below, leaves = cost.copy(), np.ones(len(cost), int)
    for node in range(len(cost) - 1, -1, -1):
        if left[node] != LEAF:
            a, b = left[node], tree.children_right[node]
            below[node], leaves[node] = below[a] + below[b], leaves[a] + leaves[b]
    pays = np.full(len(cost), np.inf)
    inner = leaves > 1
    pays[inner] = (cost[inner] - below[inner]) / (leaves[inner] - 1)
    reached = _reached(tree, left)
    pays[~reached] = np.inf
    node = int(pays.argmin())
    return node, float(pays[node]), float(below[0])


def _reached(tree: Tree, left: np.ndarray) -> np.ndarray:
    """Which nodes are still part of the tree."""
    reached = np.zeros(tree.node_count, bool)
    reached[0] = True
    for node in np.flatnonzero(left != LEAF):
        if reached[node]:
            reached[[left[node], tree.children_right[node]]] = True
    return reached


def _cost(tree: Tree) -> np.ndarray:
    """Impurity of each node times its share of all rows."""
    return tree.impurity * tree.weighted_n_node_samples / tree.weighted_n_node_samples[0]


def pruning_path(tree: Tree) -> tuple[np.ndarray, np.ndarray]:
    """For falling complexity: the alphas at which nodes go, and the cost of the leaves that stay.

    A split that adds m leaves below a node t and lowers the cost by c is worth c / m a leaf; the one of
    least worth goes first. Source: Breiman et al. 1984, chapter 3.
    """
    left, cost = tree.children_left.copy(), _cost(tree)
    alphas, impurities = [0.0], [float(cost[tree.feature == LEAF].sum())]
    while left[0] != LEAF:
        node, alpha, _ = _weakest(tree, cost, left)
        left[node] = LEAF
        reached = _reached(tree, left)
        alphas.append(max(alpha, alphas[-1]))
        impurities.append(float(cost[reached & (left == LEAF)].sum()))
    return np.array(alphas), np.array(impurities)


def prune(tree: Tree, alpha: float) -> Tree:
    """The tree without the splits that lower the cost by no more than `alpha` a leaf."""
    left, cost = tree.children_left.copy(), _cost(tree)
    while left[0] != LEAF:
        node, pays, _ = _weakest(tree, cost, left)
        if pays > alpha:
            break
        left[node] = LEAF
    kept = _reached(tree, left)
    number = np.cumsum(kept) - 1
    values = {f.name: getattr(tree, f.name)[kept] for f in fields(Tree)}
    leaf = left[kept] == LEAF
    for child in ("children_left", "children_right"):
        values[child] = np.where(leaf, LEAF, number[values[child]])
    values["feature"] = np.where(leaf, LEAF, values["feature"])
    values["threshold"] = np.where(leaf, np.nan, values["threshold"])
    return Tree(**values)
