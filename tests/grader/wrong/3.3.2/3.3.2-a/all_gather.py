def average(comm, grads):
    every = comm.all_gather(np.concatenate([g.ravel() for g in grads]))
    mean = sum(every) / comm.size
    out, start = [], 0
    for g in grads:
        out.append(mean[start : start + g.size].reshape(g.shape))
        start += g.size
    return out
