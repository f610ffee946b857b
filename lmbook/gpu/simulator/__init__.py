"""The simulator of CUDA's model of execution, on NumPy alone.

In the order of reading:

    tokens, parse_expressions, parser, syntax      from text to a tree
    types, values, operators, mathematics          what expressions mean
    compiler, declarations, inlining, statements   from the tree to functions that run it
    masks, machine                                 lanes in step, branches, barriers
    memory, traffic, races                         bounds, sectors and banks, data races
    warp, atomics                                  what lanes do together
    counters, launch                               what is counted, and the loop over blocks
"""
