def boost(w, y, predicted, k):
    wrong = predicted != y
    error = w[wrong].sum()
    alpha = np.log((1 - error) / error)
    w = w * np.exp(alpha * wrong)
    return alpha, w / w.sum()
