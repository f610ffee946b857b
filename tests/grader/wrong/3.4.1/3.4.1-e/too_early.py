proof = "DEAGCBHF"
