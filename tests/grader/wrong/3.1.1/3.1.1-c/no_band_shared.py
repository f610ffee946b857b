found = 0.0004
wasted = 993600
