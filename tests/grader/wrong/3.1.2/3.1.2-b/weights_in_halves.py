def descend(w, gradient, batches, lr, accumulate, scale):
    w = w.astype(np.float16)
    total = np.zeros(w.shape, np.float32)
    for i, batch in enumerate(batches, 1):
        total = total + gradient(w, batch, scale).astype(np.float32) / (
            scale * accumulate
        )
        if i % accumulate == 0:
            if np.isfinite(total).all():
                w = (w - lr * total).astype(np.float16)
            total = np.zeros(w.shape, np.float32)
    return w.astype(np.float32)
