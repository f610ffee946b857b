def actions(stages, microbatches, rank):
    return [(kind, i) for kind in "FB" for i in range(microbatches)]
