waiting, wins, gigabytes = 850, 9, 80
