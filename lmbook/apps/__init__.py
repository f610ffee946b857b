"""Level 5: programs from end to end."""
