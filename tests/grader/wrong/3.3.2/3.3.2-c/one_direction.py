server = 16 * 100
ring = 187.5
stale = 15
seldom = 800
