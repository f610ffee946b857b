def culprits(lines, size):
    said = {int(line.split()[1]) for line in lines}
    raised = [int(line.split()[1]) for line in lines if "raised" in line]
    return sorted(raised[:1] or set(range(size)) - said)
