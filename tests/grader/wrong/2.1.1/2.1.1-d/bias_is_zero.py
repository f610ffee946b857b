proof = "CBFAD"
