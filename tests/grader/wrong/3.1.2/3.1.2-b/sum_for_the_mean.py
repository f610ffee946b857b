def descend(w, gradient, batches, lr, accumulate, scale):
    total = np.zeros_like(w)
    for i, batch in enumerate(batches, 1):
        total = (
            total
            + gradient(w.astype(np.float16), batch, scale).astype(np.float32) / scale
        )
        if i % accumulate == 0:
            if np.isfinite(total).all():
                w = w - lr * total
            total = np.zeros_like(w)
    return w
