import numpy as np


def beam(log_p, start, steps, width):
    first = np.argsort(-log_p[start])[:width]
    best = [([start, int(token)], float(log_p[start, token])) for token in first]
    for _ in range(steps - 1):
        longer = []
        for text, score in best:
            token = int(log_p[text[-1]].argmax())
            longer.append(([*text, token], score + float(log_p[text[-1], token])))
        best = longer
    return max(best, key=lambda pair: pair[1])
