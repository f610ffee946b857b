server_gigabytes = 256.0
ring_gigabytes = 15.5
idle = 7 / 31
