def smooth(comm, x):
    left, right = comm.rank - 1, comm.rank + 1
    before, after, going = x[:1], x[-1:], []
    if right < comm.size:
        going.append(comm.isend(x[-1:], right, tag=RIGHT))
    if left >= 0:
        going.append(comm.isend(x[:1], left, tag=LEFT))
        before = comm.recv(left, tag=RIGHT)
    if right < comm.size:
        after = comm.recv(right, tag=LEFT)
    for request in going:
        request.wait()
    padded = np.concatenate([before, x, after])
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3, x.mean()
