corrections = 6
