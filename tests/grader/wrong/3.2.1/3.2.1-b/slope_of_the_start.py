def descend(gradient, w, lr, momentum, steps):
    v = np.zeros_like(w)
    g = gradient(w)
    for _ in range(steps):
        v = momentum * v + g
        w = w - lr * v
    return w
