def smooth(comm, x):
    left, right = (comm.rank - 1) % comm.size, (comm.rank + 1) % comm.size
    before, after = x[:1], x[-1:]
    if comm.size > 1:
        before = comm.sendrecv(x[-1:], right, left, tag=RIGHT)
        after = comm.sendrecv(x[:1], left, right, tag=LEFT)
    padded = np.concatenate([before, x, after])
    total, count = comm.all_reduce(np.array([x.sum(), len(x)]))
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3, total / count
