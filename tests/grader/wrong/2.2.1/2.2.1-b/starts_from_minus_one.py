def max_pool(x, size):
    rows, columns = x.shape[0] // size, x.shape[1] // size
    y = -np.ones((rows, columns))
    for i in range(rows):
        for j in range(columns):
            for value in x[
                i * size : (i + 1) * size, j * size : (j + 1) * size
            ].ravel():
                y[i, j] = max(y[i, j], value)
    return y
