work = 27
tokens = 577
weights = 69632
slope = 6
