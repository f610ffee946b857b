"""What gradient optimisers share: groups of parameters, their settings and their state."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from lmbook.autograd import Tensor
from lmbook.backend import NonFiniteError, ShapeError, asarray, is_array


class Optimizer:
    """Updates parameters from their gradients.

    `params` is an iterable of tensors, or of dictionaries {"params": ..., setting: value} for groups
    with settings of their own. `param_groups` may be changed between steps; schedules do. A group
    whose setting "maximize" is true climbs instead of descending.
    """

    reach: ClassVar[str] = "entry"
    """What the update of one entry depends on: its own "entry", its "tensor", or "all" parameters.

    Blocks that were cut from a flattened vector, as ZeRO and FSDP keep them, suit "entry" alone.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__}: got no parameters; pass model.parameters()")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.param_groups: list[dict[str, Any]] = [
            {**defaults, **group, "params": list(group["params"])} for group in groups
        ]
        self.state: dict[int, dict[str, Any]] = {}
        for p in self._parameters():
            if not isinstance(p, Tensor) or not p.is_leaf:
                raise TypeError(
                    f"{type(self).__name__}: parameters must be leaf tensors, got "
                    f"{type(p).__name__}; pass model.parameters()"
                )
            if self.reach != "entry" and getattr(p, "is_cut", False):
                way = {
                    "tensor": "or ZeroRedundancyOptimizer(..., whole=True), which cuts no tensor",
                    "all": "or give every rank the whole with DistributedDataParallel",
                }[self.reach]
                raise TypeError(
                    f"{type(self).__name__}: needs whole tensors, and a parameter of {p.numel()} entries "
                    "is a block cut from several (ZeRO, FSDP); choose an optimiser that treats each "
                    f"entry by itself, such as AdamW, {way}"
                )
        if len({id(p) for p in self._parameters()}) < len(self._parameters()):
            raise ValueError(f"{type(self).__name__}: a parameter is given twice")

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self._parameters():
            p.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        `closure`, if given, is called first; it computes the loss and its gradients, and the loss is
        returned.
        """
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for p in group["params"]:
                if (g := self._gradient(p)) is not None:
                    g = -g if group.get("maximize") else g
                    self.update(p.data, g, self.state.setdefault(id(p), {}), group)
                    p._version[0] += 1
        return loss

    def _gradient(self, p: Tensor) -> np.ndarray | None:
        """The parameter's gradient as an array, if it has one."""
        if p.grad is not None and p.grad.shape != p.shape:
            raise ShapeError(f"{type(self).__name__}: gradient {p.grad.shape}, parameter {p.shape}")
        return None if p.grad is None else p.grad.data

    def update(
        self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """Change parameter `p` in place from its gradient `g`; each optimiser writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no update method: write one")

    def state_dict(self) -> dict[str, Any]:
        """Settings of each group, and state by position of the parameter; arrays are not copied."""
        index = {id(p): i for i, p in enumerate(self._parameters())}
        return {
            "state": {index[key]: dict(value) for key, value in self.state.items()},
            "param_groups": [
                {k: v for k, v in group.items() if k != "params"} for group in self.param_groups
            ],
        }

    def _shape(self, key: str, value: np.ndarray, p: Tensor) -> tuple[int, ...]:
        """The shape that the state `key` of a parameter must have; most have the parameter's."""
        return p.shape

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` of an optimiser of the same parameters gave."""
        parameters = self._parameters()
        if len(state["param_groups"]) != len(self.param_groups):
            raise ValueError(
                f"load_state_dict: {len(state['param_groups'])} groups given, this optimiser has "
                f"{len(self.param_groups)}"
            )
        fresh = {}
        for i, entry in state["state"].items():
            if int(i) >= len(parameters):
                raise ValueError(
                    f"load_state_dict: state of parameter {i} given, this optimiser has only "
                    f"{len(parameters)} parameters; was it made from the same model?"
                )
            p = parameters[int(i)]
            fresh[id(p)] = {k: asarray(v).copy() if is_array(v) else v for k, v in entry.items()}
            for k, v in fresh[id(p)].items():
                if is_array(v) and v.shape != (wanted := self._shape(k, v, p)):
                    raise ShapeError(
                        f"load_state_dict: {k} {v.shape} of parameter {i}, shape {p.shape}, "
                        f"should be {wanted}; was it made from the same model?"
                    )
        self.state = fresh
        for group, given in zip(self.param_groups, state["param_groups"], strict=True):
            group.update(given)


def positive(name: str, **settings: float) -> None:
    """Refuse negative or non-finite settings."""
    for key, value in settings.items():
        if not value >= 0 or not np.isfinite(value):
            raise (NonFiniteError if not np.isfinite(value) else ValueError)(
                f"{name}: {key} = {value} must be a finite number, 0 or more"
            )


def fractions(name: str, key: str, values: Sequence[float]) -> None:
    """Refuse weights of running means outside [0, 1)."""
    if not all(0 <= v < 1 for v in values):
        raise ValueError(f"{name}: {key} {values} must be in [0, 1)")
