lstm = 640
gru = 640
