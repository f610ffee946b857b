naive = 1 / 8
microbatches = 63
chunks = 4
kept = 8
