def cross(a, b, start, stop):
    rest = b[~np.isin(b, a[start:stop])]
    child = a.copy()
    child[(stop + np.arange(len(rest))) % len(a)] = rest
    return child
