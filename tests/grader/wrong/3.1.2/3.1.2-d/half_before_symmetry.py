proof = "CADFB"
