def smallest_fit(A, y, ridge):
    return np.linalg.pinv(A) @ y
