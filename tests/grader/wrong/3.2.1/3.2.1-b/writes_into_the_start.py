def descend(gradient, w, lr, momentum, steps):
    v = np.zeros_like(w)
    for _ in range(steps):
        v = momentum * v + gradient(w)
        w -= lr * v
    return w
