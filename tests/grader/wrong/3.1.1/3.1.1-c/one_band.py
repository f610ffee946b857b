found = 0.328
wasted = 320
