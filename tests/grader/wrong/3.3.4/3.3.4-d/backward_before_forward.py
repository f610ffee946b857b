def actions(stages, microbatches, rank):
    first = min(stages - 1 - rank, microbatches)
    found = [("F", i) for i in range(first)]
    for i in range(microbatches - first):
        found += [("B", i), ("F", first + i)]
    return found + [("B", i) for i in range(microbatches - first, microbatches)]
