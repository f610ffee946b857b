proof = "EBFADH"
