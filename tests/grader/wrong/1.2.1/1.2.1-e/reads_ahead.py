proof = "DHFBGC"
