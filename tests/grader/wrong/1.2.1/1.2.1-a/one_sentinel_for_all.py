def corrupt(ids, spans, sentinels):
    source, target, at = [], [], 0
    for start, length in spans:
        source += [*ids[at:start], sentinels[0]]
        target += [sentinels[0], *ids[start : start + length]]
        at = start + length
    return source + ids[at:], [*target, sentinels[1]]
