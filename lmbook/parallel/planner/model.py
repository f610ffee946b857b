"""Parameters and floating-point operations of a transformer, from its sizes.

l layers, h width, a heads, s positions, V vocabulary. A multiply and an add are two FLOP.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Transformer:
    """A decoder like GPT's: an MLP four times as wide, learned positions, output tied to the embedding."""

    layers: int
    hidden: int
    heads: int
    vocab: int = 51200
    sequence: int = 2048

    def parameters(self) -> int:
        """12 l h^2 + 13 l h + (V + s) h: SC21's 12 l h^2 (1 + 13 / (12 h) + (V + s) / (12 l h))."""
        h = self.hidden
        return 12 * self.layers * h * h + 13 * self.layers * h + (self.vocab + self.sequence) * h

    def flops_per_token(self, attention: bool = True, recompute: str = "none") -> float:
        """FLOP to train on a token: 72 l h^2 (1 + s / (6 h)) + 6 h V, forward and twice that backward.

        Without `attention` the products of queries, keys and values, s / (6 h), are left out: 6 a weight.
        `recompute` adds what is computed again: "selective", the forward part of attention; "full", the
        forward pass of the layers.
        Source: Narayanan et al. 2021, appendix; Korthikanti et al. 2022, section 6.
        """
        l, h, s = self.layers, self.hidden, self.sequence
        inside = 4 * s * h * l if attention else 0  # forward: scores and their use, 2 s h each
        again = {"none": 0, "selective": inside, "full": 24 * l * h * h + inside}[recompute]
        return 3 * (24 * l * h * h + inside) + again + 6 * h * self.vocab


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
