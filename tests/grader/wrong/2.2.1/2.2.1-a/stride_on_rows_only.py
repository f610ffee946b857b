def correlate(x, k, stride=1, padding=0):
    x = np.pad(x, padding)
    windows = np.lib.stride_tricks.sliding_window_view(x, k.shape)[::stride]
    return (windows * k).sum(axis=(2, 3))
