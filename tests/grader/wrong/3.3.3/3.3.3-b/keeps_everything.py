def remember(layer, x, rng):
    y, pull = layer(x, rng)
    return y, pull
