proof = "FBCHAEDG"
