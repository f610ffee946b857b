naive = 7 / 8
microbatches = 70
chunks = 5
kept = 8
