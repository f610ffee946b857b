def beam(log_p, start, steps, width):
    text, score = [start], 0.0
    for _ in range(steps):
        token = int(log_p[text[-1]].argmax())
        score += log_p[text[-1], token]
        text.append(token)
    return text, score
