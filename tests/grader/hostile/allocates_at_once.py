# verdict: memory
much = np.ones(10**12)
