ring_bytes = 7_000_000
tree_time = 140
doubling_messages = 384
