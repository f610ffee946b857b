"""ZeRO-3: parameters, gradients and state divided among the ranks; a layer is whole while it computes.

n is the bytes of the parameters, p the number of ranks. Sources: Rajbhandari et al. 2020; Zhao et al. 2023.
"""

from collections.abc import Iterator
from typing import Any

from lmbook.autograd import Tensor, is_grad_enabled
from lmbook.distributed import Communicator, blocks
from lmbook.nn import Module, Parameter
from lmbook.parallel.data_parallel import broadcast_parameters
from lmbook.parallel.recompute import recomputed
from lmbook.parallel.shard import FlatShard


class FullyShardedDataParallel(Module):
    """Keeps a block of each unit's parameters; gathers a unit when it computes, and forgets it then.

        model = FullyShardedDataParallel(GPT(config), comm, units=(Block,))
        optimizer = AdamW(model.parameters(), lr=1e-3)     # of the blocks
        loss(model, batch).backward(); optimizer.step(); optimizer.zero_grad()

    Modules of the classes `units` are units; what is left is one more, the root, which stays whole from
    its forward pass to the end of its backward pass. An inner unit is released after its forward pass
    and gathered again in the backward pass, where its activations are computed anew (`checkpoint`):
    an array that the graph still holds could not be given back. Bytes a step: 3 (p - 1) n for inner
    units (two gathers and a reduce-scatter), 2 (p - 1) n for the root.

    With `prefetch` the next unit's gather runs beside the computation of this one, from the second step
    on, when the order is known; one more unit is whole at a time. `param_dtype` ("float16", "bfloat16")
    gathers and computes with rounded weights, and keeps float32 masters in the blocks.

    With `shards`, call forward and backward once for each logical shard in `mine`; then no number of ranks
    that divides them changes a bit.
    """

    def __init__(
        self,
        module: Module,
        comm: Communicator,
        units: tuple[type[Module], ...] = (),
        shards: int | None = None,
        prefetch: bool = False,
        param_dtype: str | None = None,
    ) -> None:
        super().__init__()
        if shards is not None and shards % comm.size:
            raise ValueError(
                f"FullyShardedDataParallel: {shards} logical shards do not divide among {comm.size} ranks; "
                "all ranks gather parameters together, so each needs as many passes"
            )
        self.module, self.comm, self.shards, self.prefetch = module, comm, shards, prefetch
        broadcast_parameters(module, comm)
        inside = [m for m in module.modules() if isinstance(m, units)] if units else []
        groups = _owners(module, inside)
        self.units: list[FlatShard] = []
        self._order: list[FlatShard] = []
        self._before: list[FlatShard] = []
        self.names: list[list[str]] = []
        """The parameters of each unit, in the order in which they stand in it."""
        for m, names in groups:
            own = dict(module.named_parameters())
            unit = FlatShard([own[n] for n in names], comm, shards, param_dtype=param_dtype)
            unit.release()
            unit.watch(then_release=True)
            self.units.append(unit)
            self.names.append(names)
            if m is not module:
                self._wrap(m, unit)
        self._root = self.units[-1] if groups and groups[-1][0] is module else None
        ends = blocks(shards or comm.size, comm.size)
        self.mine = range(ends[comm.rank], ends[comm.rank + 1])
        """The logical shards of this rank."""

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The blocks, which an optimiser trains: `unit0`, `unit1`, ... and the root's last."""
        return ((f"unit{i}", u.block) for i, u in enumerate(self.units))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's output."""
        for unit in self.units:
            unit.check()
        self._before, self._order = self._order, []
        if self._root is None:
            return self.module(*args, **kwargs)
        self._root.gather()
        y = self.module(*args, **kwargs)
        if not is_grad_enabled():
            self._root.release()
        return y

    def _wrap(self, module: Module, unit: FlatShard) -> None:
        """Make a module gather before it computes, in both directions."""
        inner = module.forward

        def whole(*args: Any, **kwargs: Any) -> Tensor:
            unit.gather()
            if self.prefetch:
                self._ahead(unit)
            y = inner(*args, **kwargs)
            if (
                not is_grad_enabled()
            ):  # the first time; the second time the gradients' arrival does it
                unit.release()
            return y

        def forward(*args: Any, **kwargs: Any) -> Tensor:
            if any(module.__dict__[k] is not p for k, p in module._parameters.items()):
                raise RuntimeError(
                    f"FullyShardedDataParallel: a hook of {type(module).__name__} replaced its weights, "
                    "which are released until it computes (MixedPrecision does); make units of larger "
                    "modules, such as Block"
                )
            if not is_grad_enabled():
                return whole(*args, **kwargs)
            return recomputed(whole, args, kwargs, [module])

        object.__setattr__(module, "forward", forward)

    def _ahead(self, unit: FlatShard) -> None:
        """Start to gather the unit that came after this one in the last step."""
        at, self._order = len(self._order), [*self._order, unit]
        if at + 1 < len(self._before) and self._before[at] is unit:
            self._before[at + 1].prefetch()

    def state_dict(self) -> dict[str, Any]:
        """Name -> array of the whole model, on every rank; all ranks call it. Bytes: (p - 1) n."""
        state = {}
        for unit, names in zip(self.units, self.names, strict=True):
            unit.gather()
            state.update({n: t.data.copy() for n, t in zip(names, unit.tensors, strict=True)})
            unit.release()
        return state | {n: b.data.copy() for n, b in self.module.named_buffers()}


def _owners(root: Module, inside: list[Module]) -> list[tuple[Module, list[str]]]:
    """Each unit with the names of its parameters; the root, if any are left, last."""
    names = {id(p): n for n, p in root.named_parameters() if p.requires_grad}
    taken: dict[int, Module] = {}
    groups: list[tuple[Module, list[str]]] = []
    for m in inside:
        own = []
        for p in m.parameters():
            if id(p) in taken:
                raise ValueError(
                    f"FullyShardedDataParallel: {names[id(p)]} belongs to two units; shared parameters must "
                    "stay in the root, and a unit must not hold another one"
                )
            if id(p) in names:
                taken[id(p)] = m
                own.append(names[id(p)])
        if own:
            groups.append((m, own))
    left = [n for key, n in names.items() if key not in taken]
    return [*groups, (root, left)] if left else groups
