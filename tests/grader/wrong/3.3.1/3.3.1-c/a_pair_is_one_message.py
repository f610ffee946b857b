ring_bytes = 7_000_000
tree_time = 280
doubling_messages = 192
