server = 3200
ring = 187.5
stale = 16
seldom = 800
