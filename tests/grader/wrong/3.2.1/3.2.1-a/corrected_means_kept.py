def adamw_step(p, g, m, v, step, lr, betas, eps, weight_decay):
    p = p - lr * weight_decay * p
    m = (betas[0] * m + (1 - betas[0]) * g) / (1 - betas[0] ** step)
    v = (betas[1] * v + (1 - betas[1]) * g * g) / (1 - betas[1] ** step)
    return p - lr * m / (np.sqrt(v) + eps), m, v
