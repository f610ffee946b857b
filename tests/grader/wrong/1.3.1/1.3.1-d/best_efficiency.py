def best_ranks(seconds, nbytes, alpha, beta, serial, most):
    p = np.arange(1, most + 1)
    work = serial * seconds + (1 - serial) * seconds / p
    time = work + 2 * (p - 1) * (alpha + beta * nbytes / p)
    return int(np.argmax(seconds / (p * time))) + 1
