"""Job-shop benchmarks: who is when on which machine, with the makespan that is known to be best."""

import json
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from lmbook.data.archives import read_members
from lmbook.data.catalogue import registry
from lmbook.data.errors import UnknownDataset


class JobShopInstance(NamedTuple):
    """`machines` and `durations` have shape (jobs, machines); `optimum` is None where none is proved."""

    name: str
    machines: np.ndarray
    durations: np.ndarray
    optimum: int | None


def job_shop(name: str) -> JobShopInstance:
    """One instance, such as "ft06", "ft10" or "la01". Times are in the unit of the source."""
    instances = _instances()
    if name not in instances:
        raise UnknownDataset(f"no job shop {name!r}; known: {', '.join(instances)}")
    row = instances[name]
    return JobShopInstance(
        name,
        np.array(row["machines_matrix"]),
        np.array(row["duration_matrix"]),
        row["metadata"].get("optimum"),
    )


def job_shop_names() -> list[str]:
    """Names of all instances, in the order of the file."""
    return list(_instances())


@lru_cache(maxsize=1)
def _instances() -> dict[str, Any]:
    (content,) = read_members(registry["job_shops"].archives[0]).values()
    return json.loads(content)
