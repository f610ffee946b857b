mtbf_hours = 10.69
interval_minutes = 21.93
overhead = 0.0484
colleague = 1.061
faster = 16
