"""What collectives cost in closed form: messages, bytes, time. The simulator counts the same."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Messages and bytes of all ranks together; the longest chain: `steps` messages with `path` bytes."""

    messages: int
    bytes: int
    steps: int
    path: float

    def seconds(self, alpha: float, beta: float) -> float:
        """steps alpha + path beta."""
        return self.steps * alpha + self.path * beta


def cost(collective: str, algorithm: str, ranks: int, nbytes: int) -> Cost:
    """The cost of a collective of `Communicator` on a crossbar.

    `nbytes` are those of `x` on one rank; in scatter and all_to_all, those of one entry of the list.
    Messages and bytes are exact always, the path where all blocks are equal. With buffering and `ranks`
    no power of two, doubling can take longer: ranks that are ahead fill the ports of those behind.
    Sources: Thakur, Rabenseifner and Gropp 2005; Chan et al. 2007.
    """
    p, n = ranks, nbytes
    log = (p - 1).bit_length()  # ceil(log2 p)
    core = 1 << (p.bit_length() - 1)  # the largest power of two that is at most p
    bits, beyond = core.bit_length() - 1, p - core
    fold = 2 if beyond else 0
    one_by_one = Cost(p - 1, (p - 1) * n, p - 1, (p - 1) * n)
    in_a_tree = Cost(p - 1, (p - 1) * n, log, log * n)
    round_the_ring = Cost(p * (p - 1), (p - 1) * n, p - 1, (p - 1) * n / p)
    entries_round = Cost(p * (p - 1), p * (p - 1) * n, p - 1, (p - 1) * n)
    known = {
        ("broadcast", "naive"): one_by_one,
        ("broadcast", "tree"): in_a_tree,
        ("reduce", "naive"): one_by_one,
        ("reduce", "tree"): in_a_tree,
        ("gather", "naive"): one_by_one,
        ("scatter", "naive"): one_by_one,
        ("reduce_scatter", "ring"): round_the_ring,
        ("all_gather", "ring"): entries_round,
        ("all_gather", "bruck"): Cost(p * log, p * (p - 1) * n, log, (p - 1) * n),
        ("all_to_all", "ring"): entries_round,
        ("barrier", "dissemination"): Cost(p * log, 0, log, 0),
        ("all_reduce", "naive"): _twice(one_by_one),
        ("all_reduce", "tree"): _twice(in_a_tree),
        ("all_reduce", "ring"): _twice(round_the_ring),
        ("all_reduce", "recursive_doubling"): Cost(
            core * bits + 2 * beyond, (core * bits + 2 * beyond) * n, bits + fold, (bits + fold) * n
        ),
        ("all_reduce", "halving_doubling"): Cost(
            2 * core * bits + 2 * beyond,
            2 * (core - 1 + beyond) * n,
            2 * bits + fold,
            2 * (core - 1) * n / core + fold * n,
        ),
    }
    if (collective, algorithm) not in known:
        raise ValueError(
            f"cost: no closed form for {collective!r} by {algorithm!r}; there are "
            + ", ".join(f"{c} {a}" for c, a in known)
        )
    return known[collective, algorithm]


def _twice(c: Cost) -> Cost:
    return Cost(2 * c.messages, 2 * c.bytes, 2 * c.steps, 2 * c.path)
