"""What a run recorded, as columns."""

import json
from typing import Any


class History:
    """Rows of named numbers, kept as columns: `history["loss"]`, with `history.steps("loss")`."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[list[int], list[float]]] = {}

    def add(self, step: int, **values: float) -> None:
        """Record numbers at a step."""
        for name, value in values.items():
            steps, column = self._columns.setdefault(name, ([], []))
            steps.append(step)
            column.append(float(value))

    def __getitem__(self, name: str) -> list[float]:
        if name not in self._columns:
            raise KeyError(f"history has no {name!r}; it has {sorted(self._columns)}")
        return self._columns[name][1]

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def steps(self, name: str) -> list[int]:
        """The steps at which `name` was recorded."""
        self[name]
        return self._columns[name][0]

    @property
    def names(self) -> list[str]:
        """Names of all columns."""
        return list(self._columns)

    def last(self, name: str) -> float:
        """The most recent value."""
        return self[name][-1]

    def best(self, name: str, largest: bool = False) -> tuple[int, float]:
        """Step and value where `name` was smallest (or largest)."""
        column = self[name]
        i = column.index(max(column) if largest else min(column))
        return self.steps(name)[i], column[i]

    def to_dict(self) -> dict[str, Any]:
        """All columns: name -> {"step": [...], "value": [...]}."""
        return {k: {"step": s, "value": v} for k, (s, v) in self._columns.items()}

    def to_json(self) -> str:
        """All columns as JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> "History":
        """The history that `to_json` wrote."""
        history = cls()
        columns: dict[str, Any] = json.loads(text)
        history._columns = {k: (list(c["step"]), list(c["value"])) for k, c in columns.items()}
        return history

    def __repr__(self) -> str:
        parts = [f"{name} {self.last(name):.4g}" for name in self._columns]
        return f"History({', '.join(parts)})"
