proof = "CGBDAEH"
