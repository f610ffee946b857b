lstm = 2480
gru = 1860
