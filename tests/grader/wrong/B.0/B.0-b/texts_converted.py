def number(given, name, least, most, default=None):
    value = given[name] if name in given else default
    kind = isinstance(value, int | float | str) and not isinstance(value, bool)
    value = float(value) if kind else value
    if not kind or not least <= value <= most:
        raise ValueError(f"{name} is {value}, and must be from {least} to {most}")
    return value
