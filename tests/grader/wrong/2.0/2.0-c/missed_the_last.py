corrections = 8
