def best_ranks(seconds, nbytes, alpha, beta, serial, most):
    p = np.arange(1, most + 1)
    return int(np.argmin(seconds / p + 2 * (p - 1) * (alpha + beta * nbytes / p))) + 1
