momentum = 20
additions = 50_000 * 64
megabytes = 8.5
