def choose(model, ranks, batch, memory):
    share = batch // ranks
    for recompute in ("none", "selective", "full"):
        for stage in range(4):
            left = memory - state_bytes(model.parameters(), ranks, stage)
            for microbatch in range(share, 0, -1):
                kept = activation_bytes(model, microbatch, recompute=recompute)
                if share % microbatch == 0 and kept <= left:
                    return stage, recompute, microbatch
    return None
