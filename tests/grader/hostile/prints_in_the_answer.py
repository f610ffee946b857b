# verdict: output
import os


def sigmoid(x):
    while True:
        os.write(2, b"x" * 10_000)
