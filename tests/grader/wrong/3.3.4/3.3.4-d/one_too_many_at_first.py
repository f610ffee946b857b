def actions(stages, microbatches, rank):
    first = min(stages - rank, microbatches)
    found = [("F", i) for i in range(first)]
    for i in range(microbatches - first):
        found += [("F", first + i), ("B", i)]
    return found + [("B", i) for i in range(microbatches - first, microbatches)]
