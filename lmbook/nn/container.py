"""Modules made of modules."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.nn.module import Module


class ModuleList(Module):
    """A list whose modules belong to the tree."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> "ModuleList":
        """Add one at the end."""
        self.add_module(str(len(self._modules)), module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: Any) -> Any:
        items = list(self._modules.values())[index]
        return (
            type(self)(*items)
            if isinstance(items, list) and isinstance(self, Sequential)
            else items
        )


class Sequential(ModuleList):
    """Modules applied one after the other."""

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        """Pass x through all of them."""
        for module in self:
            x = module(x)
        return x


class ModuleDict(Module):
    """A dictionary whose modules belong to the tree."""

    def __init__(self, modules: dict[str, Module] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self.add_module(name, module)

    def __getitem__(self, name: str) -> Any:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and modules."""
        return iter(self._modules.items())


class Dropout(Module):
    """Set entries to 0 with probability p while training, and widen the rest by 1 / (1 - p).

    Draws from `generator`, or from the default generator. Source: Srivastava et al. 2014.
    """

    def __init__(self, p: float = 0.5, generator: np.random.Generator | None = None) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p = {p} is not in [0, 1)")
        self.p, self.generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop."""
        return F.dropout(x, self.p, self.training, self.generator)

    def extra_repr(self) -> str:
        """Probability."""
        return f"p={self.p}"
