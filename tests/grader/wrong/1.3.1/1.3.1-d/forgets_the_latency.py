def best_ranks(seconds, nbytes, alpha, beta, serial, most):
    p = np.arange(1, most + 1)
    work = serial * seconds + (1 - serial) * seconds / p
    return int(np.argmin(work + 2 * (p - 1) * beta * nbytes / p)) + 1
