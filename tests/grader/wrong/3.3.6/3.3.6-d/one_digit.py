def culprits(lines, size):
    waits, guilty = {}, set(range(size))
    for line in lines:
        if "waits" in line:
            waits[int(line[5])] = int(line[-1])
        if "waits" in line or "ConnectionError" in line:
            guilty.discard(int(line[5]))
    if guilty:
        return sorted(guilty)
    rank = min(waits)
    for _ in range(size):
        rank = waits[rank]
    circle = []
    while rank not in circle:
        circle.append(rank)
        rank = waits[rank]
    return sorted(circle)
