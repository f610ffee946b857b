proof = "EBAFH"
