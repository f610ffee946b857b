"""Public checkpoints: a folder as the Hub has them, and a table from its names to ours.

A folder holds config.json and model.safetensors, or several files and model.safetensors.index.json. The model
is built as shapes only, then each parameter becomes the file's own memory, so that loading copies nothing.
"""

import json
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from lmbook import nn
from lmbook.backend import CheckpointError, TensorFile
from lmbook.models.hub import download
from lmbook.nn.init import materialize, shapes_only

_MOST = 10_000  # layers, or experts
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True)
class Names:
    """How a public checkpoint's names become a model's; all patterns are regular expressions.

    `renames` are replaced one after the other in each name of the file. A name that the model then lacks, and
    of which an entry of `ignored` fits the beginning, is passed over. `transposed` finds the parameters that
    the file has the other way round, `fresh` those that it may lack and that then start anew, with a warning.
    Arrays whose names differ only in the parts of an entry of `joined` are one array here, their rows one
    after the other; its name has the parts with commas between them.
    """

    renames: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    transposed: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    joined: tuple[tuple[str, ...], ...] = ()

    def translate(self, name: str) -> str:
        """Our name for one of the file's."""
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        return name


class Checkpoint:
    """The arrays of a folder, whichever file each is in."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if (self.folder / INDEX).is_file():
            table = read_json(self.folder / INDEX).get("weight_map")
            if not isinstance(table, dict):
                raise CheckpointError(f"checkpoint {self.folder / INDEX} has no weight_map")
            opened = {file: TensorFile(self._inside(file)) for file in sorted(set(table.values()))}
            self.files = {name: opened[file] for name, file in table.items()}
            for name, file in self.files.items():
                if name not in file:
                    raise CheckpointError(
                        f"checkpoint {self.folder}: {INDEX} says that {name} is in {file.path.name}, "
                        "which has no such array; get both again"
                    )
        else:
            if not (self.folder / SINGLE).is_file():
                raise FileNotFoundError(self._nothing())
            single = TensorFile(self.folder / SINGLE)
            self.files = dict.fromkeys(single.entries, single)
        self._groups: dict[str, list[str]] = {}

    def _inside(self, file: Any) -> Path:
        if not isinstance(file, str) or Path(file).name != file or not file.endswith("safetensors"):
            raise CheckpointError(
                f"checkpoint {self.folder}: {INDEX} names the file {file!r}; only .safetensors files "
                "beside it are opened"
            )
        return self.folder / file

    def _nothing(self) -> str:
        pickles = sorted(p.name for p in self.folder.glob("*.bin"))
        hint = (
            f"; {pickles[0]} is a pickle, which runs code as it is read: ask for a revision of the "
            "checkpoint with safetensors"
            if pickles
            else ""
        )
        return f"checkpoint {self.folder}: neither {SINGLE} nor {INDEX} is there{hint}"

    def join(self, parts: Sequence[str]) -> None:
        """Make one of arrays whose names differ in `parts`; of those of different shapes or types, none."""
        first, whole = parts[0], ",".join(parts)
        for name in [n for n in self.files if first in n]:
            group = [name.replace(first, part) for part in parts]
            alike = all(n in self.files for n in group) and self.shape(name)
            if alike and len({(self.shape(n), self.dtype(n)) for n in group}) == 1:
                self._groups[name.replace(first, whole)] = group

    def __iter__(self) -> Iterator[str]:
        inside = {name for group in self._groups.values() for name in group}
        yield from (name for name in self.files if name not in inside)
        yield from self._groups

    def read(self, name: str, dtype: Any = None) -> np.ndarray:
        """One array, in its own type or another; only what is joined or converted is copied."""
        if name in self._groups:
            return np.concatenate([self.read(part, dtype) for part in self._groups[name]])
        return self.files[name].read(name, dtype)

    def dtype(self, name: str) -> np.dtype:
        """The type of one array."""
        name = self._groups.get(name, [name])[0]
        return self.files[name].dtype(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of one array."""
        group = self._groups.get(name)
        rows, *rest = self.shape(group[0]) if group else (0,)
        return (len(group) * rows, *rest) if group else self.files[name].entries[name][1]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; `CheckpointError` if there is none."""
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path}: no such file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"checkpoint {path} is no JSON: {error}; get it again") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"checkpoint {path} holds no object; get it again")
    return content


def from_hub(
    kind: Any, given: dict[str, Any], types: tuple[str, ...], needed: str, **renames: str
) -> Any:
    """A config of the dataclass `kind` from a config.json.

    `types` are the `model_type`s that it reads, `needed` the fields that the file must have, and `renames`
    maps fields to the file's keys. Raises `CheckpointError`.
    """
    if given.get("model_type") not in types:
        raise CheckpointError(
            f"config.json is of model_type {given.get('model_type')!r}, {kind.__name__} reads "
            f"{' or '.join(map(repr, types))}; use another class"
        )
    values = {}
    for field in fields(kind):
        value = given.get(renames.get(field.name, field.name))
        if value is None:
            continue
        like = type(field.default)
        fits = isinstance(value, bool) == (like is bool) and isinstance(
            value, int | float if like is float else like
        )
        if like in (bool, int, float) and not fits:
            raise CheckpointError(
                f"config.json: {field.name} is {value!r}, {kind.__name__} needs a value of type "
                f"{like.__name__}"
            )
        least = 1 if field.name in needed.split() else 0
        most = _MOST if "layer" in field.name or "experts" in field.name else math.inf
        if like is int and not least <= value <= most:
            raise CheckpointError(f"config.json: {field.name} is {value}, which no model has")
        values[field.name] = value
    if lacking := [name for name in needed.split() if name not in values]:
        raise CheckpointError(
            f"config.json lacks {', '.join(lacking)}: it is not the whole configuration of a {types[0]}"
        )
    return kind(**values)


def rope_of(given: dict[str, Any]) -> dict[str, Any]:
    """`rope_theta` and `rope_scaling` of a config.json, where newer ones have `rope_parameters` for both."""
    both = dict(given.get("rope_parameters") or {})
    if not both:
        return {k: given[k] for k in ("rope_theta", "rope_scaling") if given.get(k) is not None}
    theta = both.pop("rope_theta", 10000.0)
    plain = both.get("rope_type", "default") == "default"
    return {"rope_theta": theta} | ({} if plain else {"rope_scaling": both})


def classes_of(given: dict[str, Any]) -> int:
    """How many classes a config.json names; two, as in the Hub's own library, where it names none."""
    labels = given.get("id2label", given.get("num_labels"))
    if labels is None or (type(labels) is int and labels > 0):
        return labels or 2
    if not isinstance(labels, dict) or not labels:
        raise CheckpointError(f"config.json: id2label is {labels!r}, no table of classes")
    return len(labels)


def refuse(given: dict[str, Any], **allowed: tuple[Any, ...]) -> None:
    """Raise `CheckpointError` if a key of config.json has none of the allowed values."""
    for key, values in allowed.items():
        if key in given and given[key] not in values:
            raise CheckpointError(
                f"config.json: {key} is {given[key]!r}, which this model does not compute; it knows {values}"
            )


def fill(model: nn.Module, checkpoint: Checkpoint, names: Names) -> nn.Module:
    """Give a model built inside `shapes_only` the values of a checkpoint.

    Raises `CheckpointError` unless every parameter and buffer is there once, in its shape, and nothing else.
    """
    own = model.state_dict()
    for parts in names.joined:
        checkpoint.join(parts)
    place: dict[str, str] = {}
    faults: dict[str, list[str]] = {}

    def fault(kind: str, what: str) -> None:
        faults.setdefault(kind, []).append(what)

    for stored in checkpoint:
        name = names.translate(stored)
        if name not in own:
            if not any(re.match(p, name) for p in names.ignored):
                fault("unknown", stored if stored == name else f"{stored} (here {name})")
            continue
        if name in place:
            fault("given twice", f"{name} (as {place[name]} and {stored})")
        place[name] = stored
        turned = _turned(names, name)
        shape = checkpoint.shape(stored)[:: -1 if turned else 1]
        if shape != own[name].shape:
            fault("of another shape", f"{name} {shape}, here {own[name].shape}")
        kind, wanted = checkpoint.dtype(stored), own[name].dtype
        if kind.kind != wanted.kind:
            fault("of another type", f"{name} {kind}, here {wanted}")
    missing = sorted(own.keys() - place.keys())
    for name in missing:
        if not any(re.match(p, name) for p in names.fresh):
            fault("missing", name)
    if faults:
        said = "; ".join(f"{kind}: {_some(what)}" for kind, what in faults.items())
        raise CheckpointError(
            f"checkpoint {checkpoint.folder} does not fit {type(model).__name__}: {said}. Is it the "
            "checkpoint of this model, and its config.json the right one?"
        )
    if missing:
        warnings.warn(
            f"checkpoint {checkpoint.folder} has no {_some(missing)}: they start anew and want training",
            stacklevel=3,
        )
    state = {}
    for name, stored in place.items():
        array = checkpoint.read(stored, own[name].dtype)
        state[name] = array.T if _turned(names, name) else array
    model.load_state_dict(state, strict=False, assign=True)
    return materialize(model)


def _turned(names: Names, name: str) -> bool:
    return any(re.search(p, name) for p in names.transposed)


def _some(what: list[str]) -> str:
    shown = ", ".join(sorted(what)[:4])
    return shown + (f" and {len(what) - 4} more" if len(what) > 4 else "")


class PretrainedModule(nn.Module):
    """A model that public checkpoints can be loaded into; a subclass says how.

    `names` is its table of names, `config_class` a dataclass with a method `from_hub(config)`.
    """

    names: ClassVar[Names] = Names()
    config_class: ClassVar[Any]

    @classmethod
    def from_pretrained(
        cls, name_or_folder: str | Path, revision: str | None = None, dtype: Any = np.float32
    ) -> Self:
        """The model of a folder in the Hub's layout, or of a name on the Hub, ready to evaluate.

        `revision` pins a branch, tag or commit of the Hub; without it the commit is printed. Parameters in
        another type than `dtype` are converted one by one. Raises `FileNotFoundError`, `CheckpointError`, or
        `HubError`.
        """
        folder = Path(name_or_folder)
        if not folder.is_dir():
            folder = download(str(name_or_folder), revision)
        checkpoint = Checkpoint(folder)
        config = cls.config_class.from_hub(read_json(folder / "config.json"))
        config = cls.adapt(config, checkpoint)
        with shapes_only():
            model = cls(config)  # type: ignore[call-arg]
        model.to(dtype)
        fill(model, checkpoint, cls.names_for(config))
        model.eval()
        return model

    @classmethod
    def names_for(cls, config: Any) -> Names:
        """The table of names; a subclass overrides this where it depends on the sizes."""
        return cls.names

    @classmethod
    def adapt(cls, config: Any, checkpoint: Checkpoint) -> Any:
        """The config once more, changed where the file knows better."""
        return config
