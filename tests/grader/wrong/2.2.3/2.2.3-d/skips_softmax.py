proof = "CAB"
