def one_plus_one(loss, x, sigma, evaluations, rng):
    best = loss(x)
    for _ in range(evaluations - 1):
        trial = x + sigma * rng.standard_normal(len(x))
        value = loss(trial)
        if value <= best:
            x, best = trial, value
    return x, best
