naive = 7 / 8
microbatches = 63
chunks = 4
kept = 63
