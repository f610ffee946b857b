"""The same workloads in PyTorch, as usual ("eager") and tuned: fused Adam, channels-last images."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import networks
from benchmarks.torch_gpt import GPT
from benchmarks.workloads import Product, Workload, data


class Theirs:
    """One workload with PyTorch."""

    def __init__(self, w: Workload, variant: str) -> None:
        torch.manual_seed(0)
        if w.kind in ("gpt", "generate"):
            s = w.sizes
            self.model: Any = GPT(w.vocabulary, s["length"], s["layers"], s["heads"], s["width"])
        else:
            self.model = getattr(networks, w.kind)(nn, F, **w.sizes)
        self.batches: list[Any] = [tuple(map(torch.from_numpy, batch)) for batch in data(w)]
        self.w, self.taken, self.last = w, 0, 0.0
        tuned = variant == "tuned"
        if tuned and w.kind in ("cnn", "resnet"):
            self.model = self.model.to(memory_format=torch.channels_last)
            to = torch.channels_last
            self.batches = [(x.contiguous(memory_format=to), y) for x, y in self.batches]
        self.optimizer = torch.optim.Adam(self.model.parameters(), fused=tuned or None)

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take over lmbook's weights."""
        wanted = self.model.state_dict()
        given = {n: torch.from_numpy(a) for n, a in state.items()}
        counters = {n: t for n, t in wanted.items() if n.endswith("num_batches_tracked")}
        self.model.load_state_dict({**counters, **given})

    def loss(self, batch: Any) -> Any:
        """Cross-entropy over the last axis."""
        x, y = batch
        logits = self.model(x)
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))

    def result(self) -> dict[str, np.ndarray]:
        """What must agree: the tokens written; or the first batch's loss as timed, in float32, and
        its gradients in float64, where no ReLU is so near its kink that rounding decides.
        """
        x, y = self.batches[0]
        if self.w.kind == "generate":
            return {"tokens": self.model.generate(x, self.w.new).numpy()}
        state = {n: t.clone() for n, t in self.model.state_dict().items()}
        found = {"loss": self.loss((x, y)).detach().numpy()}
        self.model.double()
        self.loss((x.double() if x.is_floating_point() else x, y)).backward()
        found |= {n: p.grad.numpy().copy() for n, p in self.model.named_parameters()}
        self.optimizer.zero_grad()
        self.model.float().load_state_dict(state)
        return found

    def step(self) -> None:
        """One training step, or one text."""
        batch = self.batches[self.taken % len(self.batches)]
        self.taken += 1
        if self.w.kind == "generate":
            self.model.generate(batch[0], self.w.new)
            return
        loss = self.loss(batch)
        self.last = loss.item()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    @staticmethod
    def product(size: Product) -> Any:
        """A function that takes one matrix product of this size."""
        z, m, k, n = size
        a, b = torch.ones(z, m, k), torch.ones(z, k, n)
        if z == 1:
            a, b = a[0], b[0]
        out = a @ b
        return lambda: torch.matmul(a, b, out=out)

    @staticmethod
    def about() -> dict[str, str]:
        """Versions."""
        return {"PyTorch": torch.__version__}
