cache_bytes = 536870912
