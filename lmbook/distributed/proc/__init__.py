"""Ranks as processes of this machine, joined by sockets that they inherit: no port, no file."""
