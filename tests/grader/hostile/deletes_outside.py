# verdict: files
import os

os.remove("/tmp/lmbook_keep.txt")
