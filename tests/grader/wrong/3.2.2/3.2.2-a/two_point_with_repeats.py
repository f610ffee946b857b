def cross(a, b, start, stop):
    child = b.copy()
    child[start:stop] = a[start:stop]
    return child
