def status(headers, port):
    found = {name.lower(): value for name, value in headers.items()}
    hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
    host = found.get("host")
    if host not in hosts:
        return 403
    return 200 if found.get("origin", f"http://{host}") == f"http://{host}" else 403
