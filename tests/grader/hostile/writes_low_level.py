# verdict: files
import os

os.open("/tmp/lmbook_escaped.txt", os.O_CREAT | os.O_WRONLY)
