server_gigabytes = 128.0
ring_gigabytes = 7.75
idle = 7 / 24
