found = 0.0563
wasted = 0
