"""Exercises of section 2.1.3, back-propagation."""

from typing import Any

import numpy as np

from lmbook.grader import Exercise, expect, expect_shape, expect_that, ordering, predict

# 2.1.3-a
order = Exercise(
    "2.1.3-a", title="First the parents", kind="implement", points=2, needs=["topological"]
)


class Node:
    """A node of a graph: its `parents` and nothing else."""

    def __init__(self, *parents: "Node") -> None:
        self.parents = parents


def sound(got, root, size):  # type: ignore[no-untyped-def]
    """Every node once, each after its parents, the root last."""
    expect_that(isinstance(got, list), "topological should return a list")
    expect_that(len(got) == size, f"a graph of {size} nodes gave a list of {len(got)}")
    expect_that(len({id(n) for n in got}) == size, "some node is in the list twice")
    place = {id(n): i for i, n in enumerate(got)}
    good = all(id(p) in place and place[id(p)] < place[id(n)] for n in got for p in n.parents)
    expect_that(good, "some node stands before one of its parents")
    expect_that(got[-1] is root, "the root is not the last of the list")


@order.test("a node that is used twice", "Is it complete when it is met for the first time?")
def diamond(ns, rng):  # type: ignore[no-untyped-def]
    a = Node()
    b, c = Node(a), Node(a, a)
    d = Node(b, c, b)
    sound(ns.topological(d), d, 4)


@order.hidden("random graphs", "When may a node be appended?")
def random_graphs(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(20):
        nodes = [Node()]
        for _ in range(30):
            picks = rng.integers(0, len(nodes), size=2)
            nodes.append(Node(nodes[-1], *(nodes[i] for i in picks)))
        sound(ns.topological(nodes[-1]), nodes[-1], 31)


@order.test("a chain of 20,000", "Keep a stack of your own.")
def chain(ns, rng):  # type: ignore[no-untyped-def]
    node = Node()
    for _ in range(19_999):
        node = Node(node)
    try:
        got = ns.topological(node)
    except RecursionError:
        got = []
        expect_that(False, "Python's recursion is not deep enough for the chain")
    sound(got, node, 20_000)


@order.test("a ladder of shared nodes", "How often is each node opened?")
def ladder(ns, rng):  # type: ignore[no-untyped-def]
    node, opened = Node(), [0]

    class Counting(Node):
        @property
        def parents(self):  # type: ignore[no-untyped-def]
            opened[0] += 1
            expect_that(opened[0] < 2000, "the same nodes are opened again and again")
            return self.__dict__["links"]

        @parents.setter
        def parents(self, links):  # type: ignore[no-untyped-def]
            self.__dict__["links"] = links

    for _ in range(40):
        node = Counting(node, node)
    got = ns.topological(node)
    expect_that(len(got) == 41, f"a graph of 41 nodes gave a list of {len(got)}")


# 2.1.3-b
table = Exercise("2.1.3-b", title="Two wrong slopes", kind="debug", points=2, needs=["SLOPES"])

VALUES: dict[str, Any] = {
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "tanh": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
}


def compare(ns, rng, names):  # type: ignore[no-untyped-def]
    expect_that(set(VALUES) <= set(ns.SLOPES), "an operation is missing from SLOPES")
    for name in names:
        f = VALUES[name]
        count = 2 if name in ("sub", "mul", "div") else 1
        x = rng.uniform(0.5, 2.0, size=count)
        got = ns.SLOPES[name](*x)
        expect_shape(got, (count,), of=f"SLOPES[{name!r}]")
        for i in range(count):
            h = np.zeros(count)
            h[i] = 1e-6
            numeric = (f(*(x + h)) - f(*(x - h))) / 2e-6
            expect(got[i], numeric, of=f"slope {i} of {name} at {x.round(3)}", rtol=1e-5, atol=1e-7)


@table.hidden("operations of two numbers", "Differentiate a / b for b.")
def two(ns, rng):  # type: ignore[no-untyped-def]
    compare(ns, rng, ["sub", "mul", "div"])


@table.hidden("functions of one number", "Measure each slope by differences.")
def one(ns, rng):  # type: ignore[no-untyped-def]
    compare(ns, rng, ["tanh", "exp", "log", "sqrt"])


# 2.1.3-c
predict(
    "2.1.3-c",
    title="How far is too far?",
    points=1,
    name="largest_rate",
    answer=lambda: 2 / max(2 * 3, 2 * 10),
    hint="What are the two second derivatives, and which of them is in danger first?",
    rtol=1e-9,
    mistakes={
        "the second derivative of 10 y^2 is not 10": lambda: 0.2,
        "that is where the flat direction diverges": lambda: 1 / 3,
        "half of it would already be the fastest step, not the limit": lambda: 0.05,
    },
)

# 2.1.3-d
sums = Exercise(
    "2.1.3-d", title="Broadcast backwards", kind="implement", points=2, needs=["unbroadcast"]
)


@sums.test("a bias", "Every row used the same one.")
def bias(ns, rng):  # type: ignore[no-untyped-def]
    g = np.arange(6.0).reshape(2, 3)
    expect(ns.unbroadcast(g, (3,)), [3, 5, 7], of="unbroadcast([[0, 1, 2], [3, 4, 5]], (3,))")


@sums.test("a column, and a single number", "Axes of length 1 are kept; those in front go.")
def column(ns, rng):  # type: ignore[no-untyped-def]
    g = np.arange(6.0).reshape(2, 3)
    expect(ns.unbroadcast(g, (2, 1)), [[3], [12]], of="unbroadcast(g, (2, 1))")
    expect(ns.unbroadcast(g, (1, 1)), [[15]], of="unbroadcast(g, (1, 1))")
    expect(ns.unbroadcast(g, ()), 15.0, of="unbroadcast(g, ())")


@sums.hidden("whatever NumPy can broadcast", "First the axes in front, then those of length 1.")
def anything(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(20):
        full = tuple(int(n) for n in rng.integers(1, 4, size=rng.integers(1, 5)))
        shape = full[int(rng.integers(0, len(full) + 1)) :]
        shape = tuple(1 if rng.random() < 0.4 else n for n in shape)
        g = rng.normal(size=full)
        # each entry of the small array collects the gradients of the places it was copied to
        home = np.broadcast_to(np.arange(int(np.prod(shape))).reshape(shape), full)
        want = np.bincount(home.ravel(), g.ravel(), minlength=home.max() + 1).reshape(shape)
        expect(ns.unbroadcast(g.copy(), shape), want, of=f"unbroadcast of {full} to {shape}")


# 2.1.3-e
ordering(
    "2.1.3-e",
    title="The gradient of a matrix product",
    points=2,
    name="proof",
    steps={"C": "", "B": "C", "A": "B", "E": "A"},
    wrong={
        "D": "the chain rule speaks of small changes: E need not be linear in C",
        "F": "B need not be square, let alone have an inverse",
    },
    hint="Write C with indices first, then let A change a little.",
)
