corrections = 0
