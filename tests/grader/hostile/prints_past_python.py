# verdict: output
import os

while True:
    os.write(1, b"x" * 10_000)
    os.write(2, b"y" * 10_000)
