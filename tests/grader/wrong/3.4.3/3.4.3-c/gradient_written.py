momentum = 24
additions = 131072
megabytes = 8.5
