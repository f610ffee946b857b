proof = "ECAFDH"
