def number(given, name, least, most, default=None):
    value = given[name] if name in given else default
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    if not kind or not least <= float(value) <= most:
        raise ValueError(f"{name} must be from {least} to {most}")
    return value
