def server_step(comm, parameters, gradient, rate):
    if comm.rank > 0:
        comm.send(gradient(comm.recv(0)), 0)
        return None
    for worker in range(1, comm.size):
        comm.send(parameters, worker)
        parameters = parameters - rate * comm.recv(worker) / (comm.size - 1)
    return parameters
