cache_bytes = 1.0
