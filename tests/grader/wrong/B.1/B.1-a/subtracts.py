def penalise(logits, seen, penalty):
    out = logits.copy()
    for token in set(seen):
        out[token] = out[token] - penalty
    return out
