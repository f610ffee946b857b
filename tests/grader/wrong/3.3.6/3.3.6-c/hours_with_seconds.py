mtbf_hours = 10.69
interval_minutes = 0.517
overhead = 0.0484
colleague = 1.061
faster = 16
