waiting, wins, gigabytes = 3400, 8, 80
