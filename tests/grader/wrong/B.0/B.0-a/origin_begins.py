def status(headers, port):
    asked = {name.lower(): value for name, value in headers.items()}
    names = [f"127.0.0.1:{port}", f"localhost:{port}"]
    origins = [None, *(f"http://{name}" for name in names)]
    host, origin = asked.get("host"), asked.get("origin")
    return (
        200
        if host in names and (origin is None or origin.startswith(tuple(origins[1:])))
        else 403
    )
