proof = "FCHADEG"
