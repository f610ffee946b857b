"""Normalisation layers."""

from lmbook import functional as F
from lmbook.autograd import Tensor, tensor
from lmbook.backend import ShapeError
from lmbook.functional.norm import leads
from lmbook.nn import init
from lmbook.nn.module import Module, Parameter


def _ones(*shape: int) -> Parameter:
    return Parameter(init.ones_(init.new(*shape)))


def _zeros(*shape: int) -> Parameter:
    return Parameter(init.new(*shape))


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes (Ba et al. 2016)."""

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        self.normalized_shape, self.eps = shape, eps
        self.register_parameter("weight", _ones(*shape) if elementwise_affine else None)
        self.register_parameter("bias", _zeros(*shape) if elementwise_affine and bias else None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.normalized_shape}, eps={self.eps}"


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last axes (Zhang and Sennrich 2019)."""

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
    ) -> None:
        super().__init__()
        shape = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        self.normalized_shape, self.eps = shape, eps
        self.register_parameter("weight", _ones(*shape) if elementwise_affine else None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(Module):
    """Normalise groups of channels of each example (Wu and He 2018)."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ShapeError(
                f"GroupNorm: {num_channels} channels do not divide into {num_groups} groups"
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.register_parameter("weight", _ones(num_channels) if affine else None)
        self.register_parameter("bias", _zeros(num_channels) if affine else None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, ...)."""
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class LocalResponseNorm(Module):
    """Divide by what neighbouring channels say, see `functional.local_response_norm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, ...)."""
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """Settings."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class _BatchNorm(Module):
    """Normalise channels by the batch's moments while training, by running ones in evaluation."""

    axes: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.register_parameter("weight", _ones(num_features) if affine else None)
        self.register_parameter("bias", _zeros(num_features) if affine else None)
        track = track_running_stats
        self.register_buffer("running_mean", init.new(num_features) if track else None)
        self.register_buffer("running_var", init.ones_(init.new(num_features)) if track else None)
        self.register_buffer("num_batches_tracked", tensor(0) if track else None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, ...)."""
        if x.ndim not in self.axes or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: needs an input with {' or '.join(map(str, self.axes))} axes and "
                f"{self.num_features} channels on the second, got {x.shape}"
            )
        if self.training and self.num_batches_tracked is not None and leads():
            self.num_batches_tracked.add_(1)
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training, self.momentum, self.eps,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L) (Ioffe and Szegedy 2015)."""

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (N, C, H, W) (Ioffe and Szegedy 2015)."""

    axes = (4,)
