"""What is measured: sizes, data and the matrix products that each workload cannot do without."""

from dataclasses import dataclass, field

import numpy as np

VOCABULARY = 96  # the printable characters of ASCII, and the end of a line
BATCHES = 4  # batches that a worker goes round
PROMPT, NEW = 16, 96  # tokens given and written


@dataclass(frozen=True)
class Workload:
    """One kind of work. `kind` names the network in `networks.py`, `sizes` are its arguments."""

    name: str
    title: str
    kind: str
    batch: int
    sizes: dict[str, int] = field(default_factory=dict)
    shards: int = 1  # threads over which lmbook's Trainer divides the batch
    kernels_share: bool = False  # compiled kernels divide their own loops among threads instead
    threads: int = 0  # of each library, in place of the run's

    @property
    def vocabulary(self) -> int:
        """Tokens of a GPT's vocabulary."""
        return self.sizes.get("vocabulary", VOCABULARY)

    @property
    def new(self) -> int:
        """Tokens to write."""
        return self.sizes.get("new", NEW)


WORKLOADS = {
    w.name: w
    for w in (
        Workload("mlp-64", "MLP 784-256-128-10, batch 64", "mlp", 64),
        Workload("mlp-512", "MLP 784-256-128-10, batch 512", "mlp", 512),
        Workload("cnn", "CNN 28x28, 32 and 64 channels, batch 64", "cnn", 64, shards=2),
        Workload("resnet", "ResNet 32x32, 16/32/64 channels, batch 32", "resnet", 32, shards=2,
                 kernels_share=True),
        Workload("lstm-128", "LSTM, hidden 128, 64 steps, batch 32", "lstm", 32,
                 {"hidden": 128, "length": 64}, shards=2),
        Workload("lstm-256", "LSTM, hidden 256, 64 steps, batch 32", "lstm", 32,
                 {"hidden": 256, "length": 64}, shards=2),
        Workload("gpt-128", "GPT, 4 layers, d = 128, T = 128, batch 16", "gpt", 16,
                 {"layers": 4, "heads": 4, "width": 128, "length": 128}, shards=2),
        Workload("gpt-256", "GPT, 6 layers, d = 256, T = 256, batch 8", "gpt", 8,
                 {"layers": 6, "heads": 8, "width": 256, "length": 256}, shards=2),
        Workload("generate-128", "GPT writes 96 tokens, d = 128, KV cache", "generate", 1,
                 {"layers": 4, "heads": 4, "width": 128, "length": 128}),
        Workload("generate-256", "GPT writes 96 tokens, d = 256, KV cache", "generate", 1,
                 {"layers": 6, "heads": 8, "width": 256, "length": 256}),
        Workload("generate-512", "GPT writes 48 tokens, d = 512, KV cache, one thread", "generate", 1,
                 {"layers": 8, "heads": 8, "width": 512, "length": 256, "new": 48}, threads=1),
        Workload("generate-gpt2", "GPT-2 of 124M writes 8 tokens, KV cache, one thread", "generate", 1,
                 {"layers": 12, "heads": 12, "width": 768, "length": 1024, "vocabulary": 50257,
                  "new": 8}, threads=1),
    )
}  # fmt: skip


def data(w: Workload) -> list[tuple[np.ndarray, np.ndarray]]:
    """The batches of a workload, the same in every worker: (inputs, targets)."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(BATCHES):
        if w.kind in ("mlp", "cnn", "resnet"):
            shape = {"mlp": (784,), "cnn": (1, 28, 28), "resnet": (3, 32, 32)}[w.kind]
            x = rng.standard_normal((w.batch, *shape), dtype=np.float32)
            found.append((x, rng.integers(0, 10, w.batch)))
        elif w.kind == "generate":
            prompt = rng.integers(0, w.vocabulary, (w.batch, PROMPT))
            found.append((prompt, prompt))
        else:
            text = rng.integers(0, VOCABULARY, (w.batch, w.sizes["length"] + 1))
            found.append((text[:, :-1].copy(), text[:, 1:].copy()))
    return found


Product = tuple[int, int, int, int]  # how many at a time, rows, inner, columns


def products(w: Workload) -> list[tuple[int, Product]]:
    """The matrix products of one step, forward and backward, and how often each is taken.

    A product (m, k, n) costs two more backwards: (m, n, k) for the input, (n, m, k) for the weight.
    """
    forward: list[tuple[int, Product]] = []
    s, b = w.sizes, w.batch
    if w.kind == "mlp":
        forward = [(1, (1, b, i, o)) for i, o in ((784, 256), (256, 128), (128, 10))]
    elif w.kind == "cnn":  # a convolution as a product over its patches, image by image
        forward = [(b, (1, 26 * 26, 9, 32)), (b, (1, 24 * 24, 288, 64)), (1, (1, b, 9216, 10))]
    elif w.kind == "resnet":
        forward = [(b, (1, 1024, 27, 16)), (2 * b, (1, 1024, 144, 16)), (b, (1, 256, 144, 32)),
                   (b, (1, 256, 16, 32)), (b, (1, 256, 288, 32)), (b, (1, 64, 288, 64)),
                   (b, (1, 64, 32, 64)), (b, (1, 64, 576, 64))]  # fmt: skip
    elif w.kind == "lstm":
        h, t = s["hidden"], s["length"]
        forward = [(1, (1, b * t, h, 4 * h)), (t, (1, b, h, 4 * h)), (1, (1, b * t, h, VOCABULARY))]
    else:
        d, t, heads = s["width"], s["length"], s["heads"]
        rows = b * t if w.kind == "gpt" else 1
        keys = t if w.kind == "gpt" else PROMPT + w.new // 2
        queries = t if w.kind == "gpt" else 1
        n = s["layers"] * (1 if w.kind == "gpt" else w.new)
        forward = [(n, (1, rows, d, o)) for o in (3 * d, d, 4 * d)]
        forward += [(n, (1, rows, 4 * d, d)), (n // s["layers"], (1, rows, d, w.vocabulary))]
        forward += [(n, (b * heads, queries, d // heads, keys)),
                    (n, (b * heads, queries, keys, d // heads))]  # fmt: skip
    if w.kind == "generate":
        return forward
    backward = [(c, (z, m, n, k)) for c, (z, m, k, n) in forward]
    backward += [(c, (z, n, m, k)) for c, (z, m, k, n) in forward]
    return forward + backward
