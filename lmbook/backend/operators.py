"""Make torchvision importable beside PyTorch's CPU build.

torchvision, as PyPI has it for Linux, is linked against PyTorch's build for NVIDIA cards. Beside
the CPU build its compiled operators (for detection; no classifier needs them) do not load, and the
import ends at declarations of theirs. Declaring them first is all that it takes.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

DECLARATIONS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def declare_torchvision_operators() -> bool:
    """Declare what torchvision's import looks for, if its own library does not load; whether it was
    needed. Also transformers imports torchvision where it finds it."""
    spec = find_spec("torchvision")
    if spec is None or find_spec("torch") is None:
        return False
    import torch

    folder = Path(next(iter(spec.submodule_search_locations or ())))
    try:
        for library in [*folder.glob("_C*.so"), *folder.glob("_C*.pyd")]:
            torch.ops.load_library(str(library))
    except OSError:
        namespace = torch.library.Library("torchvision", "FRAGMENT")
        for declaration in DECLARATIONS:
            namespace.define(declaration)
        _kept.append(namespace)
        return True
    return False


_kept: list[object] = []  # a library's declarations live as long as it does
