def zero_step(comm, weights, gradient, update):
    total = comm.reduce_scatter(gradient)
    ends = blocks(len(weights), comm.size)
    mine = update(weights[ends[comm.rank] : ends[comm.rank + 1]], total)
    return np.concatenate(comm.all_gather(mine))
