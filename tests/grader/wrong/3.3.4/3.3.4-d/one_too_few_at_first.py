def actions(stages, microbatches, rank):
    first = min(max(stages - 2 - rank, 0), microbatches)
    found = [("F", i) for i in range(first)]
    for i in range(microbatches - first):
        found += [("F", first + i), ("B", i)]
    return found + [("B", i) for i in range(microbatches - first, microbatches)]
