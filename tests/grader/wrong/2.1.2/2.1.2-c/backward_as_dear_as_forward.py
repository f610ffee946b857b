parameters = 6175
multiplications = 12200
