def boost(w, y, predicted, k):
    right = predicted == y
    error = w[~right].sum()
    alpha = np.log((1 - error) / error) + np.log(k - 1)
    w = w * np.exp(alpha * right)
    return alpha, w / w.sum()
