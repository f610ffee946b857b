found = 0.802
wasted = 0.0064
