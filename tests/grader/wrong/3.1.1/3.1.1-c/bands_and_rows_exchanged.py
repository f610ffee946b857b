found = 0.0002
wasted = 0
