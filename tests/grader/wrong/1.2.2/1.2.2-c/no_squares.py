work = 9
tokens = 577
weights = 69632
slope = 117.3909
