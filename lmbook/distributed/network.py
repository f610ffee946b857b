"""Networks for the simulator: what a message costs, and which links it holds.

A message of n bytes takes alpha + n beta seconds (Hockney 1994). Meanwhile it holds the
sender's way out, the receiver's way in, and a lane of every link on its route: a rank sends one message
and receives one at a time (Chan et al. 2007), and two messages that share a link go one after the
other. `latency` is time on the way that holds nothing.
"""

from collections.abc import Hashable, Sequence
from math import prod

Route = tuple[tuple[Hashable, int], ...]
"""Links with the number of messages that each carries at a time."""


class Network:
    """Every rank is joined to every other: a crossbar, without links to share.

    Parameters: `alpha`, seconds a message; `beta`, seconds a byte; `latency`, more seconds on the way. The
    defaults are 5 microseconds and 25 GB/s.
    """

    def __init__(
        self, alpha: float = 5e-6, beta: float = 1 / 25e9, *, latency: float = 0.0
    ) -> None:
        if min(alpha, beta, latency) < 0:
            raise ValueError(
                f"{type(self).__name__}: alpha {alpha}, beta {beta} and latency {latency} are times; "
                "none may be negative"
            )
        self.alpha, self.beta, self.latency = float(alpha), float(beta), float(latency)

    size: int | None = None
    """The number of ranks that the network is made for; None for any."""

    def cost(self, src: int, dst: int) -> tuple[float, float, float]:
        """(alpha, beta, latency) of the way from one rank to another."""
        return self.alpha, self.beta, self.latency

    def route(self, src: int, dst: int) -> Route:
        """The shared links on the way."""
        return ()

    def __repr__(self) -> str:
        own = "" if self.size is None else f"{self.size} ranks, "
        return f"{type(self).__name__}({own}alpha={self.alpha:.3g}, beta={self.beta:.3g})"


class Torus(Network):
    """A grid that closes in every direction; ranks count along the last axis first.

    A message goes along one axis after the other, the shorter way round, and pays alpha for each hop. A
    link carries one message in each direction.
    """

    def __init__(self, shape: Sequence[int], alpha: float = 5e-6, beta: float = 1 / 25e9) -> None:
        super().__init__(alpha, beta)
        self.shape = tuple(int(n) for n in shape)
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"{type(self).__name__}: shape {self.shape} needs lengths from 1")
        self.size = prod(self.shape)

    def place(self, rank: int) -> tuple[int, ...]:
        """The coordinates of a rank."""
        at = []
        for n in reversed(self.shape):
            rank, i = divmod(rank, n)
            at.append(i)
        return tuple(reversed(at))

    def route(self, src: int, dst: int) -> Route:
        """The links along one axis after the other, the shorter way round; each carries one message."""
        here, goal = list(self.place(src)), self.place(dst)
        links = []
        for axis, n in enumerate(self.shape):
            ahead = (goal[axis] - here[axis]) % n
            step, hops = (1, ahead) if 2 * ahead <= n else (-1, n - ahead)
            for _ in range(hops):
                links.append(((tuple(here), axis, step), 1))
                here[axis] = (here[axis] + step) % n
        return tuple(links)

    def cost(self, src: int, dst: int) -> tuple[float, float, float]:
        """(alpha times the hops, beta, 0)."""
        return self.alpha * len(self.route(src, dst)), self.beta, 0.0


class Ring(Torus):
    """Each rank has a link to the next and to the one before: a torus of one axis."""

    def __init__(self, size: int, alpha: float = 5e-6, beta: float = 1 / 25e9) -> None:
        super().__init__((size,), alpha, beta)


class FatTree(Network):
    """Switches in a tree with the ranks as leaves, `arity` below each switch; links widen upwards.

    The link above a switch that has n ranks below it carries n / taper^level messages in each
    direction: all of them (taper 1, full bisection), or fewer. A way pays alpha once.
    Source: Leiserson 1985.
    """

    def __init__(
        self, size: int, arity: int = 2, alpha: float = 5e-6, beta: float = 1 / 25e9,
        *, taper: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(alpha, beta)
        if size < 1 or arity < 2 or taper < 1:
            raise ValueError(
                f"{type(self).__name__}: size {size}, arity {arity}, taper {taper}; want size from 1, "
                "arity from 2 and taper from 1"
            )
        self.size, self.arity, self.taper = size, arity, taper

    def route(self, src: int, dst: int) -> Route:
        """The links up to the first switch that both ranks are below, and down again."""
        up: list[tuple[Hashable, int]] = []
        down: list[tuple[Hashable, int]] = []
        level = 1
        while True:
            src, dst = src // self.arity, dst // self.arity
            if src == dst:
                return (*up, *reversed(down))
            lanes = max(1, int((self.arity / self.taper) ** level))
            up.append((("up", level, src), lanes))
            down.append((("down", level, dst), lanes))
            level += 1


class Tree(FatTree):
    """A tree whose links are all as wide as a rank's own: the root is the bottleneck."""

    def __init__(
        self, size: int, arity: int = 2, alpha: float = 5e-6, beta: float = 1 / 25e9
    ) -> None:
        super().__init__(size, arity, alpha, beta, taper=arity)


class Regions(Network):
    """Groups of ranks with a fast network inside and a slow one between them.

    `sizes` ranks in each group, in order; `inside` and `between` are (alpha, beta) or (alpha, beta, latency).
    `lanes` messages at a time go from one group to another: 1 for a line between data centres, the
    number of adapters for machines of several accelerators.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        inside: Sequence[float] = (5e-6, 1 / 25e9),
        between: Sequence[float] = (5e-6, 1 / 125e6, 50e-3),
        *,
        lanes: int = 1,
    ) -> None:
        super().__init__(*inside[:2])
        if not sizes or min(sizes) < 1 or lanes < 1:
            raise ValueError(f"Regions: sizes {list(sizes)} and lanes {lanes} must be from 1")
        self.sizes, self.lanes, self.size = tuple(sizes), lanes, sum(sizes)
        self._costs = [(*map(float, c), 0.0)[:3] for c in (inside, between)]
        self._region = [i for i, n in enumerate(self.sizes) for _ in range(n)]

    def region(self, rank: int) -> int:
        """The group of a rank."""
        return self._region[rank]

    def cost(self, src: int, dst: int) -> tuple[float, float, float]:
        """(alpha, beta, latency), those of inside or of between."""
        alpha, beta, latency = self._costs[self._region[src] != self._region[dst]]
        return alpha, beta, latency

    def route(self, src: int, dst: int) -> Route:
        """The line between two groups; nothing to share inside one."""
        a, b = self._region[src], self._region[dst]
        return () if a == b else ((("between", a, b), self.lanes),)
