def one_plus_one(loss, x, sigma, evaluations, rng):
    best = loss(x)
    for _ in range(evaluations - 1):
        trial = x + sigma * rng.standard_normal(len(x))
        value = loss(trial)
        sigma *= 1.5 if value < best else 1.5**-0.25
        if value < best:
            x, best = trial, value
    return x, best
