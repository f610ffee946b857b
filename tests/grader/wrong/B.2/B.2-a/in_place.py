"""It divides the weights that it was given."""


def fold(weight, bias, mean, std):
    weight /= std
    return weight, bias - weight @ mean
