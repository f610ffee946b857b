def descend(w, gradient, batches, lr, accumulate, scale):
    total = np.zeros_like(w)
    for i, batch in enumerate(batches, 1):
        g = gradient(w.astype(np.float16), batch, scale) / np.float16(scale)
        total = total + g.astype(np.float32) / accumulate
        if i % accumulate == 0:
            if np.isfinite(total).all():
                w = w - lr * total
            total = np.zeros_like(w)
    return w
