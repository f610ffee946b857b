def move(x, v, own, best, w, c1, c2, r1, r2):
    x = x + v
    v = w * v + c1 * r1 * (own - x) + c2 * r2 * (best - x)
    return x, v
