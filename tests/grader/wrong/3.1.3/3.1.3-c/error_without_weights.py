def boost(w, y, predicted, k):
    wrong = predicted != y
    error = wrong.mean()
    alpha = np.log((1 - error) / error) + np.log(k - 1)
    w = w * np.exp(alpha * wrong)
    return alpha, w / w.sum()
