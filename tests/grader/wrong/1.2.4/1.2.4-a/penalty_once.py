import numpy as np


def update(q, c, users, items, ratings, weight, people):
    factors = q.shape[1]
    side = np.zeros((people, factors + 1))
    for u in range(people):
        rows = users == u
        n = rows.sum()
        if n:
            x = np.column_stack([q[items[rows]], np.ones(n)])
            y = ratings[rows] - c[items[rows]]
            side[u] = np.linalg.solve(x.T @ x + weight * np.eye(factors + 1), x.T @ y)
    return side
