waiting, wins, gigabytes = 4400, 9, 80
