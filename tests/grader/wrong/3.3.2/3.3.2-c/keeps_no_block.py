server = 3200
ring = 200
stale = 15
seldom = 800
