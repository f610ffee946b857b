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

    GPT: s b h (10 + 24 / t + 5 a s / (h t)); with sequence parallelism s b h (34 + 5 a s / h) / t,
    if inputs of divided matrices are gathered again in the backward pass (else 4 s b h stay whole). The 10
    are two norms, two inputs of matrices, and the bytes of two dropout masks, which Llama has not; the 24 are
    queries, keys, values and the input of the output matrix, 8 of width a d, and 4 of the MLP's width
    (6 with a gate). A mixture keeps the inputs of `top_k` experts and the inside of all that serve.
    Selective recomputation drops the last term, full recomputation keeps the input alone, 2 s b h.
    Source: Korthikanti et al. 2022, for GPT; counted likewise for the others.
    """
    s, h, a = model.sequence, model.hidden, model.heads
    one = s * microbatch * h
    if recompute == "full":
        return 2 * one / (tensor if sequence_parallel else 1)
    attention = {"none": 5 * a * s / h, "selective": 0.0}[recompute]
    whole = 8 if model.llama else 10
    gated = 6 if model.llama else 4
    heads = (4 + 4 * (model.kv_heads or a) / a) * model.width / h
    if model.experts:
        served = (model.top_k + model.shared) * model.expert_ffn
        split = heads + gated * served / h + 2 * model.top_k
    else:
        split = heads + gated * (model.ffn or 4 * h) / h
    if sequence_parallel:
        return one * (whole + split + attention) / tensor
    return one * (whole + (split + attention) / tensor)
