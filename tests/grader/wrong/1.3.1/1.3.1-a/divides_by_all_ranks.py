def server_step(comm, parameters, gradient, rate):
    if comm.rank > 0:
        comm.send(gradient(comm.recv(0)), 0)
        return None
    for worker in range(1, comm.size):
        comm.send(parameters, worker)
    total = sum(comm.recv(worker) for worker in range(1, comm.size))
    return parameters - rate * total / comm.size
