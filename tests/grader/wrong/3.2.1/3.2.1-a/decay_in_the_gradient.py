def adamw_step(p, g, m, v, step, lr, betas, eps, weight_decay):
    g = g + weight_decay * p
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * g * g
    mean, square = m / (1 - betas[0] ** step), v / (1 - betas[1] ** step)
    return p - lr * mean / (np.sqrt(square) + eps), m, v
