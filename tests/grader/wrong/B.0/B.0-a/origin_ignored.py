def status(headers, port):
    asked = {name.lower(): value for name, value in headers.items()}
    names = [f"127.0.0.1:{port}", f"localhost:{port}"]
    host = asked.get("host")
    return 200 if host in names else 403
