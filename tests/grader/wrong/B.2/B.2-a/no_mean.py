"""The mean is divided, not moved into the bias."""


def fold(weight, bias, mean, std):
    return weight / std, bias
