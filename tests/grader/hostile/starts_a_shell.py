# verdict: process
import os

os.system("sleep 1000")
