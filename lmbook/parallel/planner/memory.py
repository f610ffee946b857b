"""Bytes on an accelerator: the state of training, and activations."""

from lmbook.parallel.planner.model import Transformer


def state_bytes(parameters: float, ranks: int, stage: int = 0) -> float:
    """Weights, gradients and Adam's state of a rank: 2 + 2 + 12 bytes a parameter, divided by ZeRO.

    Stage 0 divides nothing, 1 the 12, 2 also the gradients, 3 also the weights. Source: Rajbhandari et al.
    2020, section 3.1.
    """
    if stage not in range(4):
        raise ValueError(f"state_bytes: stage {stage} must be 0 to 3")
    whole = {0: 16, 1: 4, 2: 2, 3: 0}[stage]
    return parameters * (whole + (16 - whole) / ranks)


def activation_bytes(
    model: Transformer,
    microbatch: int,
    tensor: int = 1,
    sequence_parallel: bool = False,
    recompute: str = "none",
) -> float:
    """Bytes that one layer keeps of a microbatch of b sequences for its backward pass, at 2 bytes a number.

    s b h (10 + 24 / t + 5 a s / (h t)); with sequence parallelism s b h (34 + 5 a s / h) / t. Selective
    recomputation drops the last term, full recomputation keeps the input alone, 2 s b h.
    Source: Korthikanti et al. 2022.
    """
    s, h, a = model.sequence, model.hidden, model.heads
    one = s * microbatch * h
    if recompute == "full":
        return 2 * one / (tensor if sequence_parallel else 1)
    attention = {"none": 5 * a * s / h, "selective": 0.0}[recompute]
    if sequence_parallel:
        return one * (34 + attention) / tensor
    return one * (10 + (24 + attention) / tensor)
