found = 0.078
wasted = 320
