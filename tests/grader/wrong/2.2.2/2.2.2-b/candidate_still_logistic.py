def lstm_step(x, h, c, W, U, b):
    i, f, g, o = np.split(W @ x + U @ h + b, 4)
    c = sigma(f) * c + sigma(i) * sigma(g)
    return sigma(o) * np.tanh(c), c
