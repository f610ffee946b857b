def remember(layer, x, rng):
    y, _ = layer(x, np.random.default_rng(0))

    def back(g):
        _, pull = layer(x, np.random.default_rng(0))
        return pull(g)

    return y, back
