weights = 393216
