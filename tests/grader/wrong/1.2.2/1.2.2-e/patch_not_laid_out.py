proof = "FCADG"
