width = 14
parameters = 5856
field = 7
