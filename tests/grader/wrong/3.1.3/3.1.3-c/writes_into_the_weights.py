def boost(w, y, predicted, k):
    wrong = predicted != y
    error = w[wrong].sum()
    alpha = np.log((1 - error) / error) + np.log(k - 1)
    w[wrong] *= np.exp(alpha)
    return alpha, w / w.sum()
