# verdict: files
import os

os.chdir("/")
open("tmp/lmbook_escaped.txt", "w").close()
