def average(comm, grads):
    flat = np.concatenate([g.ravel() for g in grads])
    mean = comm.all_reduce(flat, "mean") / comm.size
    out, start = [], 0
    for g in grads:
        out.append(mean[start : start + g.size].reshape(g.shape))
        start += g.size
    return out
