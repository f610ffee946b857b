def server_step(comm, parameters, gradient, rate):
    if comm.rank > 0:
        comm.send(np.zeros(0), 0)
        comm.send(gradient(comm.recv(0)), 0)
        return None
    for worker in range(1, comm.size):
        comm.send(parameters, worker)
    for worker in range(1, comm.size):
        comm.recv(worker)
    total = sum(comm.recv(worker) for worker in range(1, comm.size))
    return parameters - rate * total / (comm.size - 1)
