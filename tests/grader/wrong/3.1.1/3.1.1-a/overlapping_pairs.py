from collections import Counter


def best_pair(words):
    counts = Counter()
    for parts, times in words.items():
        for pair in zip(parts, parts[1:]):
            counts[pair] += times
    return min(counts, key=lambda pair: (-counts[pair], pair))


def merge(parts, pair):
    out = []
    for i, part in enumerate(parts):
        if i > 0 and parts[i - 1 : i + 1] == pair:
            out[-1] = "".join(pair)
        else:
            out.append(part)
    return tuple(out)
