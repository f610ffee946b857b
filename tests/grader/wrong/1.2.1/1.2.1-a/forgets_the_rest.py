def corrupt(ids, spans, sentinels):
    source, target, at = [], [], 0
    for (start, length), sentinel in zip(spans, sentinels):
        source += [*ids[at:start], sentinel]
        target += [sentinel, *ids[start : start + length]]
        at = start + length
    return source, [*target, sentinels[len(spans)]]
