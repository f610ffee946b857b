def reduce_scatter(comm, x):
    return comm.reduce_scatter(x)
