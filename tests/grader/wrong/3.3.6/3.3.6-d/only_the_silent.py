def culprits(lines, size):
    said = {int(line.split()[1]) for line in lines if "KeyError" not in line}
    return sorted(set(range(size)) - said)
