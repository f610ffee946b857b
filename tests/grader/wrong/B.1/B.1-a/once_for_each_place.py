def penalise(logits, seen, penalty):
    out = logits.copy()
    for token in seen:
        out[token] = out[token] * penalty if out[token] < 0 else out[token] / penalty
    return out
