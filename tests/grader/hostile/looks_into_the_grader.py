# verdict: tampered
def sigmoid(x):
    return x


import sys

print(sys._getframe(1).f_locals)
