"""Where a length is cut into blocks."""


def blocks(n: int, size: int) -> list[int]:
    """The size + 1 ends of `size` blocks of n rows: block i is rows ends[i] to ends[i + 1].

    ends[i] = floor(n i / size), so that lengths differ by one at most.
    """
    return [n * i // size for i in range(size + 1)]


def named(what: str, algorithm: str, known: dict):
    """The algorithm of a name, or an error that lists the names."""
    if algorithm not in known:
        raise ValueError(
            f"{what}: algorithm {algorithm!r} is unknown; there are {', '.join(map(repr, known))}"
        )
    return known[algorithm]
