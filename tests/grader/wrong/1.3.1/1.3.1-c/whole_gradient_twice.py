server_gigabytes = 128.0
ring_gigabytes = 8.0
idle = 8 / 32
