def status(headers, port):
    names = [f"127.0.0.1:{port}", f"localhost:{port}"]
    origins = [None, *(f"http://{name}" for name in names)]
    host, origin = headers.get("Host"), headers.get("Origin")
    return 200 if host in names and origin in origins else 403
