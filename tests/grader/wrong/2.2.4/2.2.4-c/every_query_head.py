cache_bytes = 4294967296
