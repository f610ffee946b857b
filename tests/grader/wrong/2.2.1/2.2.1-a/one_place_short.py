def correlate(x, k, stride=1, padding=0):
    x = np.pad(x, padding)
    rows = (x.shape[0] - k.shape[0]) // stride
    columns = (x.shape[1] - k.shape[1]) // stride
    y = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            y[i, j] = (x[top : top + k.shape[0], left : left + k.shape[1]] * k).sum()
    return y
