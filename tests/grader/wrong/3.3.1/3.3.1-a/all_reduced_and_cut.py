def reduce_scatter(comm, x):
    ends = dist.blocks(len(x), comm.size)
    total = comm.all_reduce(x, algorithm="recursive_doubling")
    return total[ends[comm.rank] : ends[comm.rank + 1]]
