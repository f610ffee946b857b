corrections = 3
