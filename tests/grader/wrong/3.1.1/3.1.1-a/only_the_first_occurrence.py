from collections import Counter


def best_pair(words):
    counts = Counter()
    for parts, times in words.items():
        for pair in zip(parts, parts[1:]):
            counts[pair] += times
    return min(counts, key=lambda pair: (-counts[pair], pair))


def merge(parts, pair):
    for i in range(len(parts) - 1):
        if parts[i : i + 2] == pair:
            return (*parts[:i], "".join(pair), *parts[i + 2 :])
    return parts
