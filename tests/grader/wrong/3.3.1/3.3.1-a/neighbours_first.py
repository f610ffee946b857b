def reduce_scatter(comm, x):
    x, bit = x.copy(), 1
    while bit < comm.size:
        half = len(x) // 2
        partner = comm.rank ^ bit
        give, keep = (x[:half], x[half:]) if comm.rank & bit else (x[half:], x[:half])
        x = keep + comm.sendrecv(give, partner, partner)
        bit *= 2
    return x
