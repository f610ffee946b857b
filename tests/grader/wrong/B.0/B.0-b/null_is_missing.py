def number(given, name, least, most, default=None):
    value = given.get(name)
    value = default if value is None else value
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    if not kind or not least <= value <= most:
        raise ValueError(f"{name} is {value}, and must be from {least} to {most}")
    return value
