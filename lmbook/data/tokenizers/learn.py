"""Learning merges: the loop that every byte-pair tokenizer shares, and applying them to a piece."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, TypeVar

Token = TypeVar("Token", str, bytes)
Pair = tuple[int, int]
Merge = tuple[int, int, int]  # the two tokens that are joined, and the token they become


def learn_merges(
    words: list[list[int]],
    counts: list[int],
    tokens: list[Token],
    size: int,
    *,
    join: Callable[[Token, Token], Token],
    order: Callable[[int, int], Any] | None = None,
    least: int = 2,
    reuse: bool = True,
) -> list[Merge]:
    """Join the most frequent pair of neighbours, again and again, until there are `size` tokens.

    `words[w]` are the ids of a word that stands `counts[w]` times; both `words` and `tokens` (the
    token of each id) are extended in place. Of pairs equally frequent, the one with the smallest
    `order(a, b)` is taken (default: the smallest ids). Ends early where no pair stands `least`
    times. Two roads may lead to the same string, (a, bc) and (ab, c): with `reuse` the second
    gets the id of the first, as the library `tokenizers` does, else an id of its own.

    A merge changes the counts of the pairs beside it only, so that each step looks at the words
    that contain the pair, not at the text. The heap may hold a count that has gone down since;
    such an entry is put back with the count of now.
    """
    seen: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for w, (ids, count) in enumerate(zip(words, counts)):
        for pair in pairwise(ids):
            seen[pair] += count
            places[pair].add(w)
    known = {token: i for i, token in enumerate(tokens)} if reuse else {}
    heap: list[tuple[int, Any, int, Pair, set[int]]] = []
    serial = 0  # no two entries compare equal before their sets are reached

    def push(pair: Pair, where: set[int]) -> None:
        nonlocal serial
        serial += 1
        key = order(*pair) if order else pair
        heapq.heappush(heap, (-seen[pair], key, serial, pair, where))

    for start, where in places.items():
        push(start, where)
    merges: list[Merge] = []
    best: Pair
    while heap and len(tokens) < size:
        negative, _, _, best, where = heapq.heappop(heap)
        if -negative != seen[best]:
            push(best, where)
            continue
        if seen[best] < max(least, 1):
            break
        token = join(tokens[best[0]], tokens[best[1]])
        new = known.get(token, len(tokens))
        if new == len(tokens):
            tokens.append(token)
            if reuse:
                known[token] = new
        merges.append((*best, new))
        places = defaultdict(set)
        for w in where:
            for changed, times in _merge_in(words[w], *best, new):
                seen[changed] += times * counts[w]
                if times > 0:
                    places[changed].add(w)
        for changed, where in places.items():
            if seen[changed] > 0:
                push(changed, where)
    return merges


def _merge_in(ids: list[int], a: int, b: int, new: int) -> list[tuple[Pair, int]]:
    """Join every (a, b) in `ids`, in place, from the left; the pairs that came (+1) and went (-1)."""
    changes: list[tuple[Pair, int]] = []
    i = 0
    try:
        while True:
            i = ids.index(a, i)
            if ids[i + 1] == b:
                if i > 0:
                    changes += (((ids[i - 1], a), -1), ((ids[i - 1], new), 1))
                ids[i : i + 2] = [new]
                if i + 1 < len(ids):
                    changes += (((b, ids[i + 1]), -1), ((new, ids[i + 1]), 1))
            i += 1
    except (ValueError, IndexError):  # no other a, or a at the end
        return changes


def apply_merges(ids: list[int], rank: Mapping[Pair, tuple[int, int]]) -> list[int]:
    """The ids of a piece once all merges are done: lowest rank first, then from the left.

    `rank[a, b]` is (order of the merge, the token it makes). Pairs wait in a heap and tokens in a
    linked list, so that a piece of n bytes takes O(n log n), also one of a million spaces.
    """
    n = len(ids)
    ids = [*ids, -1]  # the sentinel has no merges
    before, after = list(range(-1, n)), list(range(1, n + 2))
    heap = [(*rank[pair], i, pair) for i, pair in enumerate(pairwise(ids)) if pair in rank]
    heapq.heapify(heap)
    while heap:
        _, new, i, pair = heapq.heappop(heap)
        j = after[i]
        if ids[i] != pair[0] or j >= n or ids[j] != pair[1]:  # one of the two has been joined since
            continue
        ids[i], ids[j] = new, -1
        after[i] = after[j]
        before[after[j]] = i
        for left in (before[i], i):
            right = after[left] if left >= 0 else n
            if right < n and (found := rank.get((ids[left], ids[right]))):
                heapq.heappush(heap, (*found, left, (ids[left], ids[right])))
    return [i for i in ids if i >= 0]
