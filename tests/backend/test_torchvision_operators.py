"""torchvision and transformers import beside PyTorch's CPU build, whichever build torchvision is."""

import subprocess
import sys


def test_import_in_a_fresh_process():
    program = (
        "from lmbook.backend import require; require('torchvision.models', 'torch', 'the test')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
