def lstm_step(x, h, c, W, U, b):
    i, f, g, o = np.split(W @ x + U @ h + b, 4)
    c = sigma(f) * c + sigma(i) * np.tanh(g)
    return sigma(o) * c, c
