proof = "DFCAHBEG"
