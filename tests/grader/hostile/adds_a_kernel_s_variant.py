# verdict: tampered
from lmbook.backend import KERNELS

KERNELS["softmax"].variant("fast", lambda x: x)


def sigmoid(x):
    return x
