"""Settings of a run: a dataclass whose types and ranges are checked, kept as JSON beside the run.

@dataclass(frozen=True)
class Mine(Config):
    width: int = number(64, low=1)
    kind: str = choice("gelu", "gelu", "relu")
"""

import dataclasses
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lmbook.data import DataError
from lmbook.data.atomic import read_json, write_json

FORMATS = ("float32", "bfloat16", "float16")


def number(
    default: Any, low: float | None = None, high: float | None = None, above: float | None = None
) -> Any:
    """A field with a range: low <= value <= high, and value > above."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "above": above})


def choice(default: str, *options: str) -> Any:
    """A field that holds one of `options`."""
    return dataclasses.field(default=default, metadata={"options": options})


class Config:
    """Base of the settings of a run; subclasses are frozen dataclasses."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = self._typed(field.name, getattr(self, field.name), hints[field.name])
            object.__setattr__(self, field.name, value)
            self._ranged(field.name, value, field.metadata)

    def _typed(self, name: str, value: Any, hint: Any) -> Any:
        """The value, an int as a float and a list as a tuple where such is wanted; or an error."""
        if (fitted := _fit(value, hint)) is _NO:
            wanted = hint.__name__ if isinstance(hint, type) else str(hint)
            raise TypeError(
                f"{type(self).__name__}: {name} = {value!r} is of type {type(value).__name__}, "
                f"wanted {wanted}"
            )
        return fitted

    def _ranged(self, name: str, value: Any, limits: Any) -> None:
        options = limits.get("options")
        if options and value not in options:
            raise ValueError(
                f"{type(self).__name__}: {name} = {value!r} is none of {list(options)}"
            )
        for v in value if isinstance(value, tuple) else (value,):
            if v is None or isinstance(v, str | bool):
                continue
            low, high, above = (limits.get(k) for k in ("low", "high", "above"))
            if v != v or (low is not None and v < low) or (high is not None and v > high) or (
                above is not None and v <= above
            ):  # fmt: skip
                ends = [f"at least {low}"] if low is not None else []
                ends += [f"above {above}"] if above is not None else []
                ends += [f"at most {high}"] if high is not None else []
                raise ValueError(
                    f"{type(self).__name__}: {name} = {value!r} must be {' and '.join(ends) or 'a number'}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Names and values."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Settings from names and values. Raises `ValueError` for a name that is unknown."""
        if not isinstance(values, dict):
            raise ValueError(f"{cls.__name__}: want names and values, got {type(values).__name__}")
        known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(
                f"{cls.__name__}: unknown settings {unknown}; the settings are {', '.join(known)}"
            )
        return cls(**values)

    def save(self, path: str | Path) -> Path:
        """Write as JSON, atomically."""
        return write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """What `save` wrote, checked. An error names the file."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{cls.__name__} {path}: no such file")
        try:
            return cls.from_dict(read_json(path))
        except (ValueError, TypeError, DataError) as error:
            raise type(error)(f"{path}: {error}") from None


_NO = object()


def _fit(value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        fits = [f for option in typing.get_args(hint) if (f := _fit(value, option)) is not _NO]
        return fits[0] if fits else _NO
    if typing.get_origin(hint) is tuple:
        parts = typing.get_args(hint)
        if not isinstance(value, list | tuple) or len(value) != len(parts):
            return _NO
        fitted = tuple(_fit(v, part) for v, part in zip(value, parts))
        return _NO if any(f is _NO for f in fitted) else fitted
    if hint in (type(None), None):
        return None if value is None else _NO
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, bool):
        return _NO
    return value if isinstance(value, hint) else _NO


@dataclass(frozen=True)
class TrainingConfig(Config):
    """What `run` needs besides the model and the data. `steps` counts batches.

    The rate rises over `warmup` updates and falls by a half cosine to `final_lr` times `lr`; weights of
    two axes and more decay by `weight_decay`, biases and norms do not.
    """

    steps: int = number(1000, low=1)
    accumulate: int = number(1, low=1)
    optimizer: str = choice("adamw", "adamw", "sgd")
    lr: float = number(1e-3, above=0, high=10)
    momentum: float = number(0.9, low=0, high=1)
    betas: tuple[float, float] = number((0.9, 0.99), low=0, high=1)
    weight_decay: float = number(0.1, low=0, high=1)
    warmup: int = number(0, low=0)
    final_lr: float = number(0.1, low=0, high=1)
    clip_norm: float | None = number(1.0, above=0)
    precision: str = choice("float32", *FORMATS)
    evaluate_every: int = number(100, low=1)
    checkpoint_every: int = number(100, low=1)
    monitor: str = "validation"
    patience: int | None = number(None, low=1)
    threads: int = number(1, low=1)
    seed: int = number(0, low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps % self.accumulate:
            raise ValueError(
                f"TrainingConfig: steps {self.steps} must be a multiple of accumulate {self.accumulate}"
            )
        if self.warmup >= self.steps // self.accumulate:
            raise ValueError(
                f"TrainingConfig: warmup {self.warmup} must be below the number of updates, "
                f"{self.steps // self.accumulate}"
            )
