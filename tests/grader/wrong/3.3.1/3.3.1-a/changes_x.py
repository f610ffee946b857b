def reduce_scatter(comm, x):
    ends, low, high = dist.blocks(len(x), comm.size), 0, comm.size
    while high - low > 1:
        half = (high - low) // 2
        middle = low + half
        if comm.rank < middle:
            partner, give, keep = comm.rank + half, (middle, high), (low, middle)
        else:
            partner, give, keep = comm.rank - half, (low, middle), (middle, high)
        got = comm.sendrecv(x[ends[give[0]] : ends[give[1]]], partner, partner)
        x[ends[keep[0]] : ends[keep[1]]] += got
        low, high = keep
    return x[ends[comm.rank] : ends[comm.rank + 1]].copy()
