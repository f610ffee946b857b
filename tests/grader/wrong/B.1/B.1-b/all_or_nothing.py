def pieces(tokens):
    found, rest = [], b""
    for token in tokens:
        rest += token
        try:
            found.append(rest.decode("utf-8"))
            rest = b""
        except UnicodeDecodeError:
            found.append("")
    return found
