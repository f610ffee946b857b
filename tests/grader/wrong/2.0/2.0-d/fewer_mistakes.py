proof = "HEBGADF"
