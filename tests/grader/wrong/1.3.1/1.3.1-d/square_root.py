def best_ranks(seconds, nbytes, alpha, beta, serial, most):
    p = np.sqrt((1 - serial) * seconds / (2 * alpha + 1e-30))
    return int(np.clip(round(float(p)), 1, most))
