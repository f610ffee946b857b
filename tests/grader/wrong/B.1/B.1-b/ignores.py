def pieces(tokens):
    return [token.decode("utf-8", errors="ignore") for token in tokens]
