def systolic(a, w):
    return a @ w, len(a)
