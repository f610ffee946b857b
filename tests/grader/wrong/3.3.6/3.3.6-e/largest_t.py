proof = "EBAFG"
