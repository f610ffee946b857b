def average(comm, grads):
    return [g / comm.size for g in grads]
