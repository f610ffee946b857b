from collections import Counter


def best_pair(words):
    counts = Counter()
    for parts, times in words.items():
        for pair in zip(parts, parts[1:]):
            counts[pair] += times
    return max(counts, key=lambda pair: (counts[pair], pair))


def merge(parts, pair):
    out = []
    for part in parts:
        out.append(part)
        if tuple(out[-2:]) == pair:
            out[-2:] = ["".join(pair)]
    return tuple(out)
