# verdict: files
from pathlib import Path

Path("/tmp/lmbook_escaped.txt").write_text("out")
