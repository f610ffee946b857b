def beam(log_p, start, steps, width):
    best = [([start], 0.0, 0.0)]
    for _ in range(steps):
        longer = [
            ([*text, token], score + log_p[text[-1], token], log_p[text[-1], token])
            for text, score, _ in best
            for token in range(len(log_p))
        ]
        best = sorted(longer, key=lambda found: found[2], reverse=True)[:width]
    return best[0][:2]
