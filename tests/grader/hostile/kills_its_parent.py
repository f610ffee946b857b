# verdict: process
import os

os.kill(os.getppid(), 9)
