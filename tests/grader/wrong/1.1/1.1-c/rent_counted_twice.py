def bill(active, tokens, count, peak, share, rent, watts):
    seconds = 6 * active * tokens / (count * peak * share)
    hours = count * seconds / 3600
    return seconds / 86400, hours * count * rent, hours * watts / 1e6
