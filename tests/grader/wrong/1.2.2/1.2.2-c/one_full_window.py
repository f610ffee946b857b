work = 27
tokens = 577
weights = 589824
slope = 117.3909
