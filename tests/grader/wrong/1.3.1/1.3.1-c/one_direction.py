server_gigabytes = 64.0
ring_gigabytes = 3.875
idle = 7 / 31
