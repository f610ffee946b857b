"""`Module`: parameters and sub-modules under names, as a tree."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbook.autograd import Tensor, no_grad
from lmbook.autograd.graph import Handle
from lmbook.backend import ShapeError, asarray


class Parameter(Tensor):
    """A tensor that a module trains: it requires a gradient and appears in `parameters()`."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)


class Module:
    """Base of every layer and model. Write `forward`; call the module itself.

    Parameters, modules and buffers (arrays that are saved but not trained) become part of the tree
    when they are assigned to an attribute.
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, "Module | None"]

    def __init__(self) -> None:
        for name in ("_parameters", "_buffers", "_modules", "_hooks", "_pre_hooks"):
            object.__setattr__(self, name, {})
        object.__setattr__(self, "training", True)

    # The tree

    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before setting {name!r}"
            )
        tables: Any = ((Parameter, self._parameters), (Module, self._modules))
        for kind, table in tables:
            if isinstance(value, kind):
                return self._enter(table, name, value)
        for kind, table in tables:
            if name in table:
                if value is not None:
                    raise TypeError(
                        f"{type(self).__name__}.{name} holds a {kind.__name__}; assign another one, "
                        f"or None, not {type(value).__name__}"
                    )
                table[name] = None
        if name in self._buffers:
            self._buffers[name] = value
        object.__setattr__(self, name, value)

    if TYPE_CHECKING:  # what is entered under a name is an attribute, too

        def __getattr__(self, name: str) -> Any: ...

    def __delattr__(self, name: str) -> None:
        if not self._forget(name):
            object.__delattr__(self, name)

    def _enter(self, table: dict[str, Any], name: str, value: Any) -> None:
        """Put a part of the tree into its table, and where attributes are found at once."""
        self._forget(name)
        table[name] = self.__dict__[name] = value

    def _forget(self, name: str) -> bool:
        tables = (self.__dict__, self._parameters, self._buffers, self._modules)
        found = [t.pop(name, Module) is not Module for t in tables]  # type: ignore[arg-type]
        return True in found

    def register_buffer(self, name: str, tensor: Tensor | None) -> None:
        """Keep a tensor that is saved with the module but not trained."""
        self._enter(self._buffers, name, tensor)

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Enter a parameter under a name; None marks one that is absent."""
        self._enter(self._parameters, name, parameter)

    def add_module(self, name: str, module: "Module | None") -> None:
        """Enter a module under a name."""
        self._enter(self._modules, name, module)

    def children(self) -> Iterator["Module"]:
        """The modules one level below."""
        return (m for m in self._modules.values() if m is not None)

    def named_modules(
        self, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, "Module"]]:
        """This module and all below it, with dotted names; one that is shared appears once, or, if
        `remove_duplicate` is False, under each of its names."""
        seen: set[int] = set()

        def walk(module: Module, name: str) -> Iterator[tuple[str, Module]]:
            if remove_duplicate and id(module) in seen:
                return
            seen.add(id(module))
            yield name, module
            for key, child in module._modules.items():
                if child is not None:
                    yield from walk(child, f"{name}.{key}" if name else key)

        return walk(self, prefix)

    def modules(self) -> Iterator["Module"]:
        """This module and all below it."""
        return (m for _, m in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with dotted names; one that is shared appears once."""
        return self._named("_parameters", set())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """All buffers with dotted names."""
        return self._named("_buffers", set())

    def _named(self, table: str, seen: set[int] | None) -> Iterator[tuple[str, Any]]:
        for prefix, module in self.named_modules(remove_duplicate=seen is not None):
            for name, value in getattr(module, table).items():
                if value is None or (seen is not None and id(value) in seen):
                    continue
                if seen is not None:
                    seen.add(id(value))
                yield (f"{prefix}.{name}" if prefix else name), value

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (p for _, p in self.named_parameters())

    def num_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(p.numel() for p in self.parameters())

    def num_bytes(self) -> int:
        """Bytes that parameters and buffers take, each once."""
        return sum(p.nbytes for p in self.parameters()) + sum(
            b.nbytes for _, b in self.named_buffers()
        )

    # Running

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every layer writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method: write one")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._pre_hooks:
            for hook in list(self._pre_hooks.values()):
                replaced = hook(self, args)
                if replaced is not None:
                    args = replaced if isinstance(replaced, tuple) else (replaced,)
        output = self.forward(*args, **kwargs)
        if self._hooks:
            for hook in list(self._hooks.values()):
                replaced = hook(self, args, output)
                output = output if replaced is None else replaced
        return output

    def register_forward_hook(
        self, hook: Callable[["Module", tuple[Any, ...], Any], Any]
    ) -> Handle:
        """Call `hook(module, inputs, output)` after each forward pass; what it returns, if anything,
        replaces the output. The handle's `remove()` ends it."""
        return Handle(self._hooks, hook)

    def register_forward_pre_hook(self, hook: Callable[["Module", tuple[Any, ...]], Any]) -> Handle:
        """Call `hook(module, inputs)` before each forward pass; what it returns, if anything, replaces
        the positional inputs. The handle's `remove()` ends it."""
        return Handle(self._pre_hooks, hook)

    def train(self, mode: bool = True) -> "Module":
        """Set training mode for dropout, batch normalisation and the like."""
        for module in self.modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> "Module":
        """Set evaluation mode."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.parameters():
            p.grad = None

    def requires_grad_(self, value: bool = True) -> "Module":
        """Train all parameters, or none."""
        for p in self.parameters():
            p.requires_grad = value
        return self

    def apply(self, function: Callable[["Module"], None]) -> "Module":
        """Call `function` on every module, children first."""
        for module in reversed(list(self.modules())):
            function(module)
        return self

    def to(self, dtype: Any) -> "Module":
        """Convert every floating-point parameter and buffer."""
        for module in self.modules():
            for table in (module._parameters, module._buffers):
                for tensor in table.values():
                    if tensor is not None and tensor.dtype.kind == "f":
                        tensor.data = tensor.data.astype(dtype)
                        tensor.grad = None
        return self

    def double(self) -> "Module":
        """Convert to float64."""
        return self.to(np.float64)

    def float(self) -> "Module":
        """Convert to float32."""
        return self.to(np.float32)

    # State

    def state_dict(self) -> dict[str, np.ndarray]:
        """Name -> array, of every parameter and buffer; the arrays are not copied."""
        state = {name: p.data for name, p in self._named("_parameters", None)}
        state.update({name: b.data for name, b in self._named("_buffers", None)})
        return state

    def load_state_dict(
        self, state: dict[str, Any], strict: bool = True, assign: bool = False
    ) -> None:
        """Copy arrays (or tensors, also PyTorch's) into parameters and buffers of the same names.

        With `assign` an array of the right type becomes the value itself, without a copy.
        Nothing is changed unless all of it fits. Raises `KeyError` for names that are missing or
        unknown (unless `strict` is False) and `ShapeError` for a shape that differs.
        """
        own = dict(self._named("_parameters", None)) | dict(self._named("_buffers", None))
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if strict and (missing or unknown):
            raise KeyError(
                f"load_state_dict: {type(self).__name__} lacks {unknown or 'nothing'} of what is given, "
                f"and is not given {missing or 'nothing'}; pass strict=False to load what matches"
            )
        arrays = {name: _array(value) for name, value in state.items() if name in own}
        for name, array in arrays.items():
            if array.shape != own[name].shape:
                raise ShapeError(
                    f"load_state_dict: {name} has shape {array.shape}, the module's {own[name].shape}"
                )
        with no_grad():
            for name, array in arrays.items():
                given, dtype = asarray(array), own[name].dtype
                own[name].data = given if assign and given.dtype == dtype else given.astype(dtype)
                own[name]._version[0] += 1

    # Printing

    def extra_repr(self) -> str:
        """Arguments to show between the brackets."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({k}): {m!r}".replace("\n", "\n  ") for k, m in self._modules.items()]
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


def _array(value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        return value.data
    return value.detach().cpu().numpy() if hasattr(value, "cpu") else asarray(value)
