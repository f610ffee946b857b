def gradient(xs, w, u):
    states = [0.0]
    for x in xs:
        states.append(np.tanh(w * x + u * states[-1]))
    dw = du = 0.0
    dh = 1.0
    for t in range(len(xs), 0, -1):
        dz = dh * (1 - states[t] ** 2)
        dw += dz * xs[t - 1]
        du += dz * states[t]
        dh = dz * u
    return dw, du
