def server_step(comm, parameters, gradient, rate):
    w = comm.broadcast(parameters, algorithm="naive")
    total = comm.reduce(gradient(w), op="mean", algorithm="naive")
    return None if comm.rank else w - rate * total
