def standardise(train, test):
    mean, std = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / std, (test - mean) / std


def to_range(x, low, high):
    smallest, largest = x.min(axis=0), x.max(axis=0)
    return (x - smallest) / (largest - smallest) * (high - low)
