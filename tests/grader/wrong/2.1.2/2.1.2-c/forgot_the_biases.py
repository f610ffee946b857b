parameters = 6100
multiplications = 13300
