"""torchvision and transformers import beside PyTorch's CPU build, whichever build torchvision is."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["torchvision.models", "transformers.models.vit.modeling_vit"])
def test_import_in_a_fresh_process(module):
    program = f"from lmbook.backend import require; require({module!r}, 'torch', 'the test')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
