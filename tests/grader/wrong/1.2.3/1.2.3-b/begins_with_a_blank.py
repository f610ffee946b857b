def probability(p, target):
    z = [0]
    for symbol in target:
        z += [symbol, 0]
    alpha = np.zeros(len(z))
    alpha[0] = p[0, 0]
    for t in range(1, len(p)):
        before = alpha.copy()
        for s in range(len(z)):
            total = before[s]
            if s >= 1:
                total += before[s - 1]
            if s >= 2 and z[s] != 0 and z[s] != z[s - 2]:
                total += before[s - 2]
            alpha[s] = total * p[t, z[s]]
    return alpha[-2:].sum()
