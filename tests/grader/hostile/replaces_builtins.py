# verdict: tampered
def sigmoid(x):
    return x


import builtins

builtins.abs = lambda x: 0
