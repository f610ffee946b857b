def cross(a, b, start, stop):
    rest = np.roll(b, -stop)
    rest = rest[~np.isin(rest, a[start:stop])]
    a[(stop + np.arange(len(rest))) % len(a)] = rest
    return a
