def cross(a, b, start, stop):
    rest = np.roll(b, -stop)
    rest = rest[~np.isin(rest, a[start:stop])]
    child = a.copy()
    places = [i for i in range(len(a)) if not start <= i < stop]
    child[places] = rest
    return child
