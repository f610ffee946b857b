def boost(w, y, predicted, k):
    wrong = predicted != y
    error = w[wrong].sum()
    alpha = 0.5 * np.log((1 - error) / error) + np.log(k - 1)
    w = w * np.exp(np.where(wrong, alpha, -alpha))
    return alpha, w / w.sum()
