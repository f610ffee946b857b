"""The workloads in lmbook."""

import sys
from typing import Any

import numpy as np

from benchmarks import networks
from benchmarks.workloads import Product, Workload, data
from lmbook import Tensor, backend, manual_seed, nn, optim
from lmbook import functional as F
from lmbook.models import GPT, GPTConfig
from lmbook.training import Trainer


def loss(model: Any, x: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy over the last axis."""
    logits = model(x)
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


def in_float64(x: np.ndarray) -> np.ndarray:
    """Images in float64; tokens as they are."""
    return x.astype(np.float64) if x.dtype == np.float32 else x


class Ours:
    """One workload with lmbook: the Trainer as a reader would use it."""

    def __init__(self, w: Workload, variant: str) -> None:
        backend.use("numba" if variant == "fast" else "numpy")
        manual_seed(0)
        if w.kind in ("gpt", "generate"):
            s = w.sizes
            config = GPTConfig(w.vocabulary, s["length"], s["layers"], s["heads"], s["width"])
            self.model: Any = GPT(config)
            if w.kind == "generate":  # far enough apart that rounding does not change the choice
                for p in self.model.parameters():
                    p.data *= 5 if p.ndim > 1 else 1
        else:
            self.model = getattr(networks, w.kind)(nn, F, **w.sizes)
        self.w, self.batches, self.taken = w, data(w), 0
        threads = 1 if variant == "fast" and w.kernels_share else w.shards
        self.trainer = Trainer(
            self.model, optim.Adam(self.model.parameters()), loss, progress=False, threads=threads
        )

    def state(self) -> dict[str, np.ndarray]:
        """The weights, under PyTorch's names."""
        return self.model.state_dict()

    def result(self) -> dict[str, np.ndarray]:
        """What must agree: the tokens written; or the first batch's loss as timed, in float32, and
        its gradients in float64, where no ReLU is so near its kink that rounding decides.
        """
        x, y = self.batches[0]
        if self.w.kind == "generate":
            return {"tokens": self.write(x)}
        self.model.train()
        state = {n: a.copy() for n, a in self.model.state_dict().items()}
        found = {"loss": np.float32(self.trainer.compute_gradients((x, y)))}
        self.model.double().zero_grad()
        self.trainer.compute_gradients((in_float64(x), y))
        found |= {n: p.grad.data.copy() for n, p in self.model.named_parameters()}
        self.model.float().zero_grad()
        self.model.load_state_dict(state)
        return found

    def write(self, prompt: np.ndarray) -> np.ndarray:
        """Continue a prompt by the likeliest tokens."""
        return self.model.generate(prompt, self.w.new, temperature=0)

    def step(self) -> None:
        """One training step, or one text."""
        batch = self.batches[self.taken % len(self.batches)]
        self.taken += 1
        if self.w.kind == "generate":
            self.write(batch[0])
        else:
            self.trainer.train_step(batch)

    @staticmethod
    def product(size: Product) -> Any:
        """A function that takes one matrix product of this size."""
        z, m, k, n = size
        a, b = np.ones((z, m, k), np.float32), np.ones((z, k, n), np.float32)
        if z == 1:
            a, b = a[0], b[0]
        out = a @ b
        return lambda: np.matmul(a, b, out=out)

    @staticmethod
    def about() -> dict[str, str]:
        """Versions, and the kernel that BLAS chose."""
        kernel = "unknown"
        try:
            from threadpoolctl import threadpool_info

            kernel = next(
                i["architecture"] for i in threadpool_info() if i["internal_api"] == "openblas"
            )
        except (ImportError, StopIteration):
            pass
        found = {"NumPy": np.__version__, "OpenBLAS kernel": kernel}
        if "numba" in sys.modules:
            found["numba"] = sys.modules["numba"].__version__
        return found
