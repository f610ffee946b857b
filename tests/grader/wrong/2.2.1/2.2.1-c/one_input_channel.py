width = 14
parameters = 768
field = 10
