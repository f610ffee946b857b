"""Parameters and floating-point operations of a transformer, from its sizes.

l layers, h width, a heads of size d, s positions, V vocabulary. A multiply and an add are two FLOP.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Transformer:
    """A decoder like GPT's, or, with `llama`, like Llama's; with `experts` its MLPs are mixtures.

    GPT: an MLP of two matrices, biases, learned positions, the output tied to the embedding. Llama: an MLP of
    three matrices (SwiGLU), no biases, rotary positions, an output of its own unless `tied`. `ffn` is the
    MLP's width, 4 h by default; `kv_heads` the number of key and value heads, a by default; `head` the size
    of a head, h / a by default; `attention` replaces the number of weights of a layer's attention.
    The layers from `dense` on have `experts` MLPs of width `expert_ffn`, of which `top_k` serve a token, and
    `shared` ones that serve every token. A token's experts stand on `nodes` nodes at most, if that is given.
    """

    layers: int
    hidden: int
    heads: int
    vocab: int = 51200
    sequence: int = 2048
    ffn: int | None = None
    kv_heads: int | None = None
    llama: bool = False
    tied: bool = False
    head: int | None = None
    attention: int | None = None
    experts: int = 0
    top_k: int = 1
    shared: int = 0
    expert_ffn: int = 0
    dense: int = 0
    nodes: int | None = None

    def __post_init__(self) -> None:
        if self.experts and not (0 < self.top_k <= self.experts and self.expert_ffn > 0):
            raise ValueError(
                f"Transformer: {self.experts} experts need a top_k of 1 to {self.experts} and an expert_ffn "
                f"above 0, not {self.top_k} and {self.expert_ffn}"
            )

    @property
    def width(self) -> int:
        """Width of all heads together: a d, which is h unless `head` says otherwise."""
        return self.heads * self.head if self.head else self.hidden

    @property
    def mixtures(self) -> int:
        """Layers that have experts."""
        return self.layers - self.dense if self.experts else 0

    def attention_weights(self) -> int:
        """Weights of a layer's queries, keys, values and output: 4 h^2 for GPT."""
        if self.attention is not None:
            return self.attention
        shared = (self.kv_heads or self.heads) / self.heads
        return int(self.hidden * self.width * (2 + 2 * shared))

    def mlp_weights(self, width: int) -> int:
        """Weights of an MLP of this width: 2 h f, or 3 h f with a gate."""
        return (3 if self.llama else 2) * self.hidden * width

    def matrices(self) -> int:
        """Weights of a dense layer's matrices: 12 h^2 for GPT."""
        return self.attention_weights() + self.mlp_weights(self.ffn or 4 * self.hidden)

    def routed(self) -> int:
        """Weights of all routed experts of all layers: those that expert parallelism divides."""
        return self.mixtures * self.experts * self.mlp_weights(self.expert_ffn)

    def working(self) -> int:
        """Weights of all layers' matrices that a token meets: with experts, of `top_k` of them."""
        serving = (self.top_k + self.shared) * self.mlp_weights(self.expert_ffn)
        mixture = self.attention_weights() + serving + self.hidden * self.experts  # and the router
        return (self.layers - self.mixtures) * self.matrices() + self.mixtures * mixture

    def parameters(self) -> int:
        """GPT: 12 l h^2 + 13 l h + (V + s) h = 12 l h^2 (1 + 13 / (12 h) + (V + s) / (12 l h)), as in SC21.

        13 h are the biases and norms of a layer whose MLP is 4 h wide; Llama has 2 h, and 2 V h outside.
        """
        return self.active_parameters() + self.routed() * (self.experts - self.top_k) // (
            self.experts or 1
        )

    def active_parameters(self) -> int:
        """Parameters that work on a token: all of them, unless there are experts."""
        h, l = self.hidden, self.layers
        if self.llama:
            return self.working() + 2 * l * h + (1 if self.tied else 2) * self.vocab * h + h
        inside = self.working() + l * (9 * h + (self.ffn or 4 * h))
        return inside + (self.vocab + self.sequence) * h

    def flops_per_token(self, attention: bool = True, recompute: str = "none") -> float:
        """FLOP to train on a token. GPT: 72 l h^2 (1 + s / (6 h)) + 6 h V, forward and twice that backward.

        6 a weight that works on the token. Without `attention` the products of queries, keys and values,
        s / (6 h), are left out. `recompute` adds what is computed again: "selective", the forward part of
        attention; "full", the forward pass of the layers.
        Source: Narayanan et al. 2021, appendix; Korthikanti et al. 2022, section 6.
        """
        s, l = self.sequence, self.layers
        inside = 4 * s * self.width * l if attention else 0  # forward: scores and their use
        layers = 2 * self.working()
        again = {"none": 0, "selective": inside, "full": layers + inside}[recompute]
        return 3 * (layers + inside) + again + 6 * self.hidden * self.vocab


def mfu(tokens_per_second: float, flops_per_token: float, accelerators: int, peak: float) -> float:
    """Model FLOP utilisation: useful FLOP a second over those that the accelerators could do.

    With the FLOP of recomputation counted as well it is the hardware utilisation (HFU). Source: Chowdhery et
    al. 2022, appendix B.
    """
    return tokens_per_second * flops_per_token / (accelerators * peak)


def training_days(parameters: float, tokens: float, accelerators: int, flops: float) -> float:
    """Days for 8 N D FLOP (6 N D, and the forward pass again) at `flops` a second and accelerator.

    Source: Narayanan et al. 2021, equation 4.
    """
    return 8 * parameters * tokens / (accelerators * flops) / 86400
