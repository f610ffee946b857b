def status(headers, port):
    found = {name.lower(): value for name, value in headers.items()}
    hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
    if found.get("host", "").strip().lower() not in hosts:
        return 403
    origin = found.get("origin")
    return (
        200 if origin is None or origin in [f"http://{host}" for host in hosts] else 403
    )
