"""On a GPU AdamW's step is rung 7 of the ladder in `lmbook.gpu`: 28 bytes a parameter, in one kernel."""

from lmbook.backend import Array, float32
from lmbook.backend.kernels import optim as k

THREADS = 256


def adam_step(
    p: Array, g: Array, m: Array, v: Array,
    lr: float, beta1: float, beta2: float, eps: float, decay: float, decoupled: bool, step: int,
    largest: Array | None = None,
) -> None:  # fmt: skip
    """The reference's step in place; float32 arrays in one piece, without AMSGrad, by the kernel."""
    arrays = (p, g, m, v)
    fits = all(a.dtype == float32 and a.flags.c_contiguous for a in arrays) and p.size > 0
    if not fits or largest is not None or (decay and not decoupled):
        k.adam_step.reference(
            p, g, m, v, lr, beta1, beta2, eps, decay, decoupled, step, largest
        )  # fmt: skip
        return
    from lmbook.gpu import kernels  # a tokenizer and a parser: read when first needed

    corrections = 1 - beta1**step, 1 - beta2**step
    numbers = (p.size, lr, beta1, beta2, eps, decay, *corrections)
    kernels.adamw.kernel("adamw2_fused")(-(-p.size // THREADS), THREADS, (*arrays, *numbers))


k.adam_step.variant("cupy", adam_step)
