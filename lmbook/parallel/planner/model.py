"""Parameters and floating-point operations of a transformer, from its sizes.

l layers, h width, a heads, s positions, V vocabulary. A multiply and an add are two FLOP.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Transformer:
    """A decoder like GPT's, or, with `llama`, like Llama's.

    GPT: an MLP of two matrices, biases, learned positions, the output tied to the embedding. Llama: an MLP of
    three matrices (SwiGLU), no biases, rotary positions, an output of its own. `ffn` is the MLP's width, 4 h
    by default; `kv_heads` the number of key and value heads, a by default.
    """

    layers: int
    hidden: int
    heads: int
    vocab: int = 51200
    sequence: int = 2048
    ffn: int | None = None
    kv_heads: int | None = None
    llama: bool = False

    def matrices(self) -> int:
        """Weights of a layer's matrices: 12 h^2 for GPT."""
        h = self.hidden
        shared = (self.kv_heads or self.heads) / self.heads
        return int(h * h * (2 + 2 * shared) + (3 if self.llama else 2) * h * (self.ffn or 4 * h))

    def parameters(self) -> int:
        """GPT: 12 l h^2 + 13 l h + (V + s) h = 12 l h^2 (1 + 13 / (12 h) + (V + s) / (12 l h)), as in SC21.

        13 h are the biases and norms of a layer whose MLP is 4 h wide; Llama has 2 h, and 2 V h outside.
        """
        h, l = self.hidden, self.layers
        if self.llama:
            return l * (self.matrices() + 2 * h) + 2 * self.vocab * h + h
        return (
            l * (self.matrices() + 9 * h + (self.ffn or 4 * h)) + (self.vocab + self.sequence) * h
        )

    def flops_per_token(self, attention: bool = True, recompute: str = "none") -> float:
        """FLOP to train on a token. GPT: 72 l h^2 (1 + s / (6 h)) + 6 h V, forward and twice that backward.

        Without `attention` the products of queries, keys and values, s / (6 h), are left out: 6 a weight.
        `recompute` adds what is computed again: "selective", the forward part of attention; "full", the
        forward pass of the layers.
        Source: Narayanan et al. 2021, appendix; Korthikanti et al. 2022, section 6.
        """
        l, h, s = self.layers, self.hidden, self.sequence
        inside = 4 * s * h * l if attention else 0  # forward: scores and their use, 2 s h each
        layers = 2 * l * self.matrices()
        again = {"none": 0, "selective": inside, "full": layers + inside}[recompute]
        return 3 * (layers + inside) + again + 6 * h * self.vocab


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
