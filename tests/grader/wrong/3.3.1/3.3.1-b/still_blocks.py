def smooth(comm, x):
    left, right = comm.rank - 1, comm.rank + 1
    before, after = x[:1], x[-1:]
    if right < comm.size:
        comm.send(x[-1:], right, tag=RIGHT)
        after = comm.recv(right, tag=LEFT)
    if left >= 0:
        comm.send(x[:1], left, tag=LEFT)
        before = comm.recv(left, tag=RIGHT)
    padded = np.concatenate([before, x, after])
    total, count = comm.all_reduce(np.array([x.sum(), len(x)]))
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3, total / count
