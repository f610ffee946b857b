def correlate(x, k, stride=1, padding=0):
    x = np.pad(x, padding)
    windows = np.lib.stride_tricks.sliding_window_view(x, k.shape)
    return (windows * k).sum(axis=(2, 3))
