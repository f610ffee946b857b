# verdict: files
import os

os.symlink("/tmp", "innocent")
open("innocent/lmbook_escaped.txt", "w").close()
