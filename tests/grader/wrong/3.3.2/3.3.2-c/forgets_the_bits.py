server = 3200
ring = 187.5
stale = 15
seldom = 200
