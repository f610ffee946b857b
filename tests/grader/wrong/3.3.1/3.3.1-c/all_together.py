ring_bytes = 56_000_000
tree_time = 280
doubling_messages = 384
