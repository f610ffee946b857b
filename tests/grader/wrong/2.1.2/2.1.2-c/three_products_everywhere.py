parameters = 6175
multiplications = 18300
