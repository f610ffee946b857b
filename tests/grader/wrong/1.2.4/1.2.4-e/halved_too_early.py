proof = "DAFBCHG"
