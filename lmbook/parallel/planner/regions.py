"""Training across regions: nodes that work alone for a while and exchange what they changed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Regions:
    """`ranks` sites that meet every `every` steps over links of `bandwidth` bytes a second.

    A meeting is a ring all-reduce of `parameters` numbers of `width` bytes: each site sends
    2 (r - 1) / r n w. Sources: Douillard et al. 2023; Jaghouar et al. 2024.
    """

    parameters: float
    ranks: int
    every: int = 100
    width: float = 1
    bandwidth: float = 125e6

    def bytes_per_step(self) -> float:
        """Bytes that a site sends for each step, on the average."""
        return 2 * (self.ranks - 1) / self.ranks * self.parameters * self.width / self.every

    def reduction(self, width: float = 4) -> float:
        """How many times less than data parallelism with gradients of `width` bytes: H width / w."""
        return self.every * width / self.width

    def meeting(self) -> float:
        """Seconds of one exchange."""
        return self.bytes_per_step() * self.every / self.bandwidth

    def utilisation(self, step: float) -> float:
        """Share of the time that is computation: H s / (H s + meeting), steps of s seconds."""
        return self.every * step / (self.every * step + self.meeting())

    def needed(self, step: float, utilisation: float) -> float:
        """Bytes a second of each link for this share."""
        if not 0 < utilisation < 1:
            raise ValueError(f"needed: a utilisation of {utilisation} must lie between 0 and 1")
        return self.bytes_per_step() / step * utilisation / (1 - utilisation)
