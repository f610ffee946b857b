"""An n-gram model of characters with interpolated Kneser-Ney smoothing: the baseline to beat."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import log
from typing import Any


class NGram:
    """P(c | the n-1 symbols before it), estimated by counting.

    With c(h, s) the number of times symbol s followed context h, and h' the context without its
    oldest symbol:

        P(s | h) = max(c(h, s) - d, 0) / c(h, ·) + d · types(h) / c(h, ·) · P(s | h')

    types(h) is the number of different symbols that followed h, d = n1 / (n1 + 2 n2) the absolute
    discount, from the numbers of n-grams seen once and twice. In all orders but the highest,
    c(h, s) counts the different symbols that came before h s, rather than how often h s came
    (Kneser and Ney); below order one stands the uniform distribution over the vocabulary.

    `order` is n (5: four symbols of context). Works on strings and on sequences of token ids.
    Source: Chen and Goodman (1999), "An empirical study of smoothing techniques".
    """

    def __init__(self, order: int, text: Sequence[Any], vocabulary: Iterable[Any]) -> None:
        if order < 1:
            raise ValueError(f"NGram: order {order} must be at least 1")
        self.order = order
        self.vocabulary = set(vocabulary)
        text = tuple(text)
        unknown = set(text) - self.vocabulary
        if unknown:
            raise ValueError(f"NGram: {min(unknown)!r} is in the text but not in the vocabulary")
        counts: Counter[tuple] = Counter(text[i : i + order] for i in range(len(text) - order + 1))
        self.tables: list[dict[tuple, tuple[Counter, int]]] = []  # from order n down to 1
        self.discounts: list[float] = []
        for _ in range(order):
            self.tables.append(_by_context(counts))
            self.discounts.append(_discount(counts))
            counts = Counter(gram[1:] for gram in counts)  # how many symbols came before the rest
        self.tables.reverse()
        self.discounts.reverse()

    def probability(self, symbol: Any, context: Sequence[Any]) -> float:
        """P(symbol | context); only the last `order - 1` symbols of the context count."""
        if symbol not in self.vocabulary:
            raise ValueError(f"NGram: {symbol!r} is not in the vocabulary")
        context = tuple(context)[-(self.order - 1) :] if self.order > 1 else ()
        p = 1 / len(self.vocabulary)
        for length in range(len(context) + 1):
            found = self.tables[length].get(context[len(context) - length :])
            if found is None:  # a context never seen: nor are longer ones
                break
            followers, total = found
            d = self.discounts[length]
            p = max(followers[symbol] - d, 0) / total + d * len(followers) / total * p
        return p

    def loss(self, text: Sequence[Any]) -> float:
        """Mean of -ln P over the symbols of `text`, in nats a symbol."""
        text = tuple(text)
        before = self.order - 1
        total = sum(
            log(self.probability(symbol, text[max(0, i - before) : i]))
            for i, symbol in enumerate(text)
        )
        return -total / len(text)


def _by_context(counts: Counter[tuple]) -> dict[tuple, tuple[Counter, int]]:
    """For each context, the counts of the symbols after it and their sum."""
    followers: dict[tuple, Counter] = defaultdict(Counter)
    for gram, count in counts.items():
        followers[gram[:-1]][gram[-1]] = count
    return {context: (after, after.total()) for context, after in followers.items()}


def _discount(counts: Counter[tuple]) -> float:
    """Absolute discount d = n1 / (n1 + 2 n2); one half where there is nothing to estimate from."""
    seen = Counter(counts.values())
    return seen[1] / (seen[1] + 2 * seen[2]) if seen[1] and seen[2] else 0.5
