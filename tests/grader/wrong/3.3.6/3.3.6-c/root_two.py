mtbf_hours = 10.69
interval_minutes = 31.0
overhead = 0.0484
colleague = 1.414
faster = 16
