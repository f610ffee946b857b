def descend(w, gradient, batches, lr, accumulate, scale):
    total = np.zeros_like(w)
    for i, batch in enumerate(batches, 1):
        g = gradient(w.astype(np.float16), batch, scale).astype(np.float32)
        total = total + g / (scale * accumulate)
        if i % accumulate == 0 and np.isfinite(total).all():
            w = w - lr * total
            total = np.zeros_like(w)
    return w
