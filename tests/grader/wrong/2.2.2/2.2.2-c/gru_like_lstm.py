lstm = 2560
gru = 2560
