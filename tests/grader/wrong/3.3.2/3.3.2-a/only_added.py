def average(comm, grads):
    flat = np.concatenate([g.ravel() for g in grads])
    total = comm.all_reduce(flat, "sum")
    out, start = [], 0
    for g in grads:
        out.append(total[start : start + g.size].reshape(g.shape))
        start += g.size
    return out
