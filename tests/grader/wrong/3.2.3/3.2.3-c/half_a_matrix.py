waiting, wins, gigabytes = 3400, 9, 40
