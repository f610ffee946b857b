parameters = 6175
multiplications = 6100
