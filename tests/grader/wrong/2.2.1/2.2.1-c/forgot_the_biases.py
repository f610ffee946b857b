width = 14
parameters = 5808
field = 10
