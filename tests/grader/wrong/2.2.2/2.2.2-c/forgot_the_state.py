lstm = 960
gru = 720
