found = 0.9996
wasted = 0.0064
