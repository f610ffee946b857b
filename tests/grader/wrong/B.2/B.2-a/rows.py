"""The deviation divides rows, which belong to classes, where that is possible."""


def fold(weight, bias, mean, std):
    if weight.shape[0] == len(std):
        scaled = weight / std[:, None]
    else:
        scaled = weight / std
    return scaled, bias - scaled @ mean
