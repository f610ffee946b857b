cache_bytes = 33554432
