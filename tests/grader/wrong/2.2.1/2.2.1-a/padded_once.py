def correlate(x, k, stride=1, padding=0):
    x = np.pad(x, ((0, padding), (0, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, k.shape)[::stride, ::stride]
    return (windows * k).sum(axis=(2, 3))
