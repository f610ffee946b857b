# verdict: tampered
def sigmoid(x):
    return x


import os

os.open("/proc/self/fd/3", os.O_RDONLY)
