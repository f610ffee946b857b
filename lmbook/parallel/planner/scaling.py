"""How to divide a budget of computation between parameters and tokens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ScalingLaw:
    """Loss L(N, D) = E + A / N^alpha + B / D^beta, in nats per token. Source: Hoffmann et al. 2022."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def loss(self, parameters: float, tokens: float) -> float:
        """Loss of N parameters after D tokens."""
        return float(self.E + self.A / parameters**self.alpha + self.B / tokens**self.beta)

    def optimum(self, flops: float) -> tuple[float, float]:
        """Parameters and tokens of the least loss with 6 N D FLOP.

        N = G (C / 6)^(beta / (alpha + beta)), G = (alpha A / (beta B))^(1 / (alpha + beta)); D = C / (6 N).
        """
        if not flops > 0:
            raise ValueError(f"optimum: a budget of {flops} FLOP must be above 0")
        both = self.alpha + self.beta
        g = (self.alpha * self.A / (self.beta * self.B)) ** (1 / both)
        parameters = g * (flops / 6) ** (self.beta / both)
        return parameters, flops / 6 / parameters


HOFFMANN = ScalingLaw(1.69, 406.4, 410.7, 0.34, 0.28)
"""Approach 3, as printed. Source: Hoffmann et al. 2022."""
BESIROGLU = ScalingLaw(1.8169, 482.01, 2085.43, 0.3478, 0.3659)
"""The same points fitted again. Source: Besiroglu et al. 2024."""


def chinchilla(flops: float, tokens_per_parameter: float = 20) -> tuple[float, float]:
    """Parameters and tokens by the rule of thumb: C = 6 N D with D = 20 N, so N = sqrt(C / 120)."""
    if not flops > 0:
        raise ValueError(f"chinchilla: a budget of {flops} FLOP must be above 0")
    parameters = (flops / (6 * tokens_per_parameter)) ** 0.5
    return parameters, tokens_per_parameter * parameters
