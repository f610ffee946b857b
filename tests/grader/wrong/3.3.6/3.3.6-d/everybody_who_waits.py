def culprits(lines, size):
    waits, guilty = {}, set(range(size))
    for line in lines:
        words = line.split()
        if words[2] == "waits":
            waits[int(words[1])] = int(words[-1])
        if words[2] == "waits" or words[3] == "ConnectionError":
            guilty.remove(int(words[1]))
    return sorted(guilty or waits)
