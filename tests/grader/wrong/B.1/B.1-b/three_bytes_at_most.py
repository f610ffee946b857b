def pieces(tokens):
    found, rest = [], b""
    for token in tokens:
        rest += token
        text = ""
        while rest:
            size = 1 + (rest[0] >= 0xC0) + (rest[0] >= 0xE0)
            if len(rest) < size:
                break
            text, rest = text + rest[:size].decode("utf-8", "replace"), rest[size:]
        found.append(text)
    return found
