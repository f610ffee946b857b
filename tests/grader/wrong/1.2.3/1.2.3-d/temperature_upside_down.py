def contrastive(c, q, negatives, temperature):
    c = c / np.linalg.norm(c, axis=1, keepdims=True)
    q = q / np.linalg.norm(q, axis=1, keepdims=True)
    true = (c * q).sum(axis=1, keepdims=True)
    false = (c[:, None] * q[negatives]).sum(axis=2)
    logits = np.concatenate([true, false], axis=1) * temperature
    top = logits.max(axis=1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
    return (log_sum - logits[:, 0]).mean()
