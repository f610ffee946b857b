def smallest_fit(A, y, ridge):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    keep = s > 1e-10 * s[0]
    d = np.zeros_like(s)
    d[keep] = 1 / (s[keep] + ridge)
    return Vt.T @ (d * (U.T @ y))
