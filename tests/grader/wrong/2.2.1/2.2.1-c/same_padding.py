width = 16
parameters = 5856
field = 10
