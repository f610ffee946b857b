work = 27
tokens = 576
weights = 69632
slope = 117.3909
