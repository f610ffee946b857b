def rotary(x, offset=0, base=10000.0):
    length, width = x.shape[-2:]
    position = offset + np.arange(length)
    angle = position[:, None] / base ** (np.arange(0, width, 2) / width)
    first, second = x[..., ::2], x[..., 1::2]
    out = np.empty_like(x)
    out[..., ::2] = first * np.cos(angle) - second * np.sin(angle)
    out[..., 1::2] = first * np.sin(angle) + second * np.cos(angle)
    return out
