import numpy as np


def systolic(a, w):
    (m, k), n = a.shape, w.shape[1]
    moving, partial, out = np.zeros((k, n)), np.zeros((k, n)), np.zeros((m, n))
    cycles = m + k + n - 2
    for t in range(cycles):
        moving = np.roll(moving, 1, axis=1)
        for r in range(k):
            moving[r, 0] = a[t - r, r] if 0 <= t - r < m else 0
        above = np.roll(partial, 1, axis=0)
        partial = above + w * moving
        for c in range(n):
            row = t - (k - 1) - c
            if 0 <= row < m:
                out[row, c] = partial[-1, c]
    return out, cycles
