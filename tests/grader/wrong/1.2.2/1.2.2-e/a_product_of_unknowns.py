proof = "FCHDAG"
