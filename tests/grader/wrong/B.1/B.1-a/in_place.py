def penalise(logits, seen, penalty):
    for token in set(seen):
        logits[token] = (
            logits[token] * penalty if logits[token] < 0 else logits[token] / penalty
        )
    return logits
