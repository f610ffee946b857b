def averaged_perceptron(x, t, passes):
    w, b = np.zeros(x.shape[1]), 0.0
    sum_w, sum_b = np.zeros(x.shape[1]), 0.0
    for _ in range(passes):
        for x_i, t_i in zip(x, t):
            if t_i * (w @ x_i + b) <= 0:
                w, b = w + t_i * x_i, b + t_i
            sum_w, sum_b = sum_w + w, sum_b + b
    return w, b
