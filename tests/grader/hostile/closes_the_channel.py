# verdict: tampered
def sigmoid(x):
    return x


import os

for fd in range(3, 64):
    try:
        os.close(fd)
    except OSError:
        pass
