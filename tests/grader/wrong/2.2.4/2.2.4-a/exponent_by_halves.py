def rotary(x, offset=0, base=10000.0):
    length, width = x.shape[-2:]
    angle = (offset + np.arange(length))[:, None] / base ** (
        np.arange(width // 2) / width
    )
    first, second = x[..., : width // 2], x[..., width // 2 :]
    turned = (
        first * np.cos(angle) - second * np.sin(angle),
        first * np.sin(angle) + second * np.cos(angle),
    )
    return np.concatenate(turned, axis=-1)
