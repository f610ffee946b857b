import numpy as np


def bm25(texts, question, k1=1.2, b=0.75):
    words = [text.split() for text in texts]
    lengths = np.array([len(w) for w in words])
    scores = np.zeros(len(texts))
    for word in question.split():
        f = np.array([w.count(word) for w in words])
        n = np.count_nonzero(f)
        idf = np.log((len(texts) - n + 0.5) / (n + 0.5))
        scores += idf * f / (f + k1 * (1 - b + b * lengths / lengths.mean()))
    return scores
