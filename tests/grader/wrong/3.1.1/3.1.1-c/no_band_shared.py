found = 0.198
wasted = 993600
