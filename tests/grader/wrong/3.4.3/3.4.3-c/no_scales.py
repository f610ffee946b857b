momentum = 20
additions = 131072
megabytes = 8.0
