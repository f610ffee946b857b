"""Gradients in fewer bytes: send a part, keep the rest for the next step (error feedback).

Each class is a `comm_hook` of `DistributedDataParallel`. With residual e, a rank sends C(g + e) and keeps
e <- g + e - C(g + e): nothing is lost, only late. Without it the bias of C stays, and training may
not converge (Karimireddy et al. 2019).

Where a rank's gradient is not finite all ranks get NaN, so that a loss scaler leaves the step out everywhere,
and residuals stay as they were. They are in the units of the gradients: fix the loss scale, or
accept that they count for a step as many times too little or too much as the scale changes.
"""

import math

import numpy as np

from lmbook.distributed import Communicator


class Compression:
    """What the compressions share: the residual of each bucket."""

    def __init__(self, error_feedback: bool = True) -> None:
        self.error_feedback = error_feedback
        self.residual: dict[int, np.ndarray] = {}

    def __call__(self, comm: Communicator, number: int, flat: np.ndarray) -> np.ndarray:
        """The mean over the ranks of what they sent for bucket `number`."""
        g = flat + self.residual[number] if number in self.residual else flat
        if not np.isfinite(g).all():  # the rest of an infinity would stay for good
            g = np.full_like(g, np.nan)
        with np.errstate(invalid="ignore"):
            mean, sent = self.exchange(comm, number, g)
        if self.error_feedback and np.isfinite(mean).all():
            self.residual[number] = g - sent
        return mean

    def exchange(
        self, comm: Communicator, number: int, g: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(Mean of what all ranks sent, what this rank sent); each compression writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no exchange method: write one")


class TopK(Compression):
    """The largest `ratio` of the entries by absolute value, with their places.

    Bytes: p (p - 1) k (4 + itemsize), with k = ceil(ratio n entries): it grows with the number of ranks.
    Sources: Aji and Heafield 2017; Stich et al. 2018.
    """

    def __init__(self, ratio: float, error_feedback: bool = True) -> None:
        super().__init__(error_feedback)
        if not 0 < ratio <= 1:
            raise ValueError(f"TopK: ratio {ratio} must be above 0 and at most 1")
        self.ratio = ratio

    def exchange(
        self, comm: Communicator, number: int, g: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Send places and values; add up what came, in the order of the ranks."""
        k = math.ceil(self.ratio * g.size)
        places = np.sort(np.argpartition(-np.abs(g), k - 1)[:k]).astype(np.int32)
        mean, sent = np.zeros_like(g), np.zeros_like(g)
        sent[places] = g[places]
        for theirs, values in comm.all_gather([places, g[places]]):
            mean[theirs] += values
        return mean / g.dtype.type(comm.size), sent


class OneBit(Compression):
    """The signs, a bit each, times the mean absolute value.

    Bytes: p (p - 1) (ceil(n entries / 8) + itemsize). Source: Seide et al. 2014.
    """

    def exchange(
        self, comm: Communicator, number: int, g: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Send bits and a scale."""

        def decode(bits: np.ndarray, scale: np.ndarray) -> np.ndarray:
            positive = np.unpackbits(bits, count=g.size).astype(bool)
            return np.where(positive, scale, -scale)

        mine = [np.packbits(g >= 0), np.abs(g).mean(keepdims=True)]
        mean = np.zeros_like(g)
        for bits, scale in comm.all_gather(mine):
            mean += decode(bits, scale)
        return mean / g.dtype.type(comm.size), decode(*mine)


class Int8(Compression):
    """A byte for each entry: 127 steps each way up to the largest absolute value.

    Bytes: p (p - 1) (n entries + itemsize). Source: Dettmers 2016, with even steps.
    """

    def exchange(
        self, comm: Communicator, number: int, g: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Send whole numbers and a scale."""
        scale = np.abs(g).max(keepdims=True) / g.dtype.type(127)
        steps = np.rint(g / np.where(scale > 0, scale, 1)).astype(np.int8)
        mean = np.zeros_like(g)
        for theirs, unit in comm.all_gather([steps, scale]):
            mean += theirs * unit
        return mean / g.dtype.type(comm.size), steps * scale


class PowerSGD(Compression):
    """The bucket as a square matrix M of about rank `rank`: P = orth(mean M Q), Q = mean M^T P, M ~ P Q^T.

    One step of power iteration from the last Q; what all ranks receive is the same, so is what each
    "sent". Bytes: 2 all-reduces of side x rank entries, side = ceil(sqrt(n entries)). Source: Vogels et
    al. 2019; one matrix a bucket as in PyTorch's batched variant.
    """

    def __init__(self, rank: int = 2, error_feedback: bool = True, seed: int = 0) -> None:
        super().__init__(error_feedback)
        if rank < 1:
            raise ValueError(f"PowerSGD: rank {rank} must be at least 1")
        self.rank, self.seed = rank, seed
        self.q: dict[int, np.ndarray] = {}

    def exchange(
        self, comm: Communicator, number: int, g: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Two thin all-reduces."""
        side = math.ceil(math.sqrt(g.size))
        m = np.zeros(side * side, g.dtype)
        m[: g.size] = g
        m = m.reshape(side, side)
        if number not in self.q:  # the same on every rank
            start = np.random.default_rng([self.seed, number])
            self.q[number] = start.normal(size=(side, min(self.rank, side))).astype(g.dtype)
        p = comm.all_reduce(m @ self.q[number], "mean")
        if not np.isfinite(p).all():  # on all ranks alike
            return np.full_like(g, np.nan), g
        p = np.linalg.qr(p)[0].astype(g.dtype)
        q = self.q[number] = comm.all_reduce(m.T @ p, "mean")
        mean = (p @ q.T).reshape(-1)[: g.size]
        return mean, mean
