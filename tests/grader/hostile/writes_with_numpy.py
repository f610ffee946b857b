# verdict: files
np.save("/tmp/lmbook_escaped.npy", np.ones(3))
