mtbf_hours = 10.69
interval_minutes = 31.0
overhead = 0.0725
colleague = 1.061
faster = 16
