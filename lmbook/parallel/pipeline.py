"""Pipeline parallelism: each rank has some of the layers, and microbatches flow through.

Sources: see `lmbook.parallel.schedules`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import Communicator, Request, blocks
from lmbook.nn import Module, ModuleList, Parameter
from lmbook.parallel.data_parallel import broadcast_parameters
from lmbook.parallel.schedules import SCHEDULES, Action, Schedule
from lmbook.parallel.split_backward import WeightGradients, backward_input

Loss = Callable[[Tensor, int], Tensor]
"""(Output of the last layer, number of the microbatch) -> its loss."""


class Pipeline(Module):
    """Runs layers on the ranks of a group, one after another, each layer from tensor to tensor.

        pipe = Pipeline(layers, comm, schedule="1f1b")
        optimizer = AdamW(pipe.parameters(), lr=1e-3)       # of this rank's layers
        loss = pipe.step(microbatches, lambda y, i: F.cross_entropy(y, targets[i]))
        optimizer.step(); optimizer.zero_grad()

    All ranks build the same layers; each keeps its part, with rank 0's weights, in `chunks` pieces
    for the schedule "interleaved". A parameter that several parts use (tied weights) is kept by each of
    them, and its gradients are added. `step` leaves in `.grad` the gradient of the mean loss over the
    microbatches, in the order of one process that takes them one after the other: the same bits.

    Messages are sent without waiting for the receiver. `blocking=True` waits, as a plain `send` does where
    messages are not buffered: then two neighbours that send to each other wait for ever. Bytes:
    2 (p v - 1) m times those of an activation of a microbatch.

    `seconds`, such as {"F": 1e-3, "B": 1e-3, "W": 1e-3}, is what a whole rank's part takes on the
    simulator's clock for one microbatch; the log then has each action under a label such as "F3".
    """

    def __init__(
        self,
        layers: Sequence[Module],
        comm: Communicator,
        schedule: str = "1f1b",
        chunks: int = 1,
        blocking: bool = False,
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.seconds = dict(seconds or {})
        if schedule not in SCHEDULES:
            raise ValueError(
                f"Pipeline: schedule {schedule!r} is unknown; there are {list(SCHEDULES)}"
            )
        if chunks > 1 and schedule != "interleaved":
            raise ValueError(
                f"Pipeline: {chunks} chunks want the schedule 'interleaved', not {schedule!r}"
            )
        count = comm.size * chunks
        if len(layers) < count:
            raise ValueError(
                f"Pipeline: {len(layers)} layers for {count} parts; at least one for each"
            )
        self.comm, self.schedule, self.chunks, self.blocking = comm, schedule, chunks, blocking
        everything = ModuleList(layers)
        broadcast_parameters(everything, comm)
        ends = blocks(len(layers), count)
        parts = [layers[ends[i] : ends[i + 1]] for i in range(count)]
        self.last = count - 1
        self.parts = ModuleList(ModuleList(parts[c * comm.size + comm.rank]) for c in range(chunks))
        self._tied = self._find_tied(everything, parts)

    def _find_tied(
        self, everything: Module, parts: list[Sequence[Module]]
    ) -> list[tuple[Parameter, Communicator]]:
        """The parameters that I share with other ranks, with the group of those that have them."""
        tied = []
        for p in everything.parameters():
            ranks = sorted(
                {
                    i % self.comm.size
                    for i, part in enumerate(parts)
                    if any(p is q for layer in part for q in layer.parameters())
                }
            )
            if len(ranks) > 1 and self.comm.rank in ranks:
                tied.append((p, self.comm.group(ranks)))
        return tied

    def plan(self, microbatches: int) -> Schedule:
        """The actions of all ranks."""
        sizes = (self.comm.size, microbatches)
        make = SCHEDULES[self.schedule]
        return make(*sizes, self.chunks) if self.schedule == "interleaved" else make(*sizes)  # type: ignore[operator]

    def step(self, microbatches: Sequence[Any], loss: Loss) -> float | None:
        """Forward and backward of all microbatches; the mean loss on the last stage's rank, None elsewhere.

        Only the first stage looks at `microbatches`, only the last one calls `loss`.
        """
        run = _Run(self, len(microbatches))
        for action in self.plan(len(microbatches))[self.comm.rank]:
            if action.kind == "F":
                run.forward(action, microbatches, loss)
            elif action.kind == "B":
                run.backward(action)
            else:
                run.weights(action)
        for request in run.sent:
            request.wait()
        for p, group in self._tied:
            assert p.grad is not None
            p.grad = Tensor(group.all_reduce(p.grad.data))
        return sum(run.losses) / len(microbatches) if run.losses else None


class _Run:
    """One step of a pipeline on one rank."""

    def __init__(self, pipe: Pipeline, count: int) -> None:
        self.pipe, self.comm, self.count = pipe, pipe.comm, count
        self.inputs: dict[tuple[int, int], Tensor] = {}
        self.outputs: dict[tuple[int, int], Tensor] = {}
        self.later: dict[int, WeightGradients] = {}
        self.sent: list[Request] = []
        self.losses: list[float] = []
        self.local: dict[int, np.ndarray] = {}

    def _part(self, a: Action) -> int:
        return a.chunk * self.comm.size + self.comm.rank

    def _tag(self, boundary: int, microbatch: int, backward: bool) -> int:
        """A tag for each boundary between parts, microbatch and direction."""
        return (boundary * self.count + microbatch) * 2 + backward

    def _send(self, x: np.ndarray, part: int, tag: int) -> None:
        dst = part % self.comm.size
        if dst == self.comm.rank:  # one rank has both parts
            self.local[tag] = x.copy()
        elif self.pipe.blocking:
            self.comm.send(x, dst, tag)
        else:
            self.sent.append(self.comm.isend(x, dst, tag))

    def _recv(self, part: int, tag: int) -> np.ndarray:
        src = part % self.comm.size
        return self.local.pop(tag) if src == self.comm.rank else self.comm.recv(src, tag)

    def _take_time(self, a: Action) -> None:
        """Tell the simulator's clock what an action takes; a whole backward pass takes B and W."""
        seconds = self.pipe.seconds
        if seconds:
            whole = a.kind == "B" and self.pipe.schedule != "zero_bubble"
            total = sum(seconds.get(kind, 0.0) for kind in ("BW" if whole else a.kind))
            chunk = f".{a.chunk}" if self.pipe.chunks > 1 else ""
            self.comm.compute(total / self.pipe.chunks, f"{a.kind}{a.microbatch}{chunk}")

    def forward(self, a: Action, microbatches: Sequence[Any], loss: Loss) -> None:
        """One microbatch through one chunk."""
        part = self._part(a)
        if part == 0:
            given = microbatches[a.microbatch]
            x = given if isinstance(given, Tensor) else Tensor(given)
        else:
            x = Tensor(self._recv(part - 1, self._tag(part - 1, a.microbatch, False)), True)
        y = x
        for layer in self.pipe.parts[a.chunk]:
            y = layer(y)
        if part == self.pipe.last:
            y = loss(y, a.microbatch)
            self.losses.append(y.item())
        self._take_time(a)
        if part < self.pipe.last:
            self._send(y.data, part + 1, self._tag(part, a.microbatch, False))
        self.inputs[part, a.microbatch], self.outputs[part, a.microbatch] = x, y

    def backward(self, a: Action) -> None:
        """The gradient of one microbatch back through one chunk; "zero_bubble" leaves weights for later."""
        part = self._part(a)
        x, y = (store.pop((part, a.microbatch)) for store in (self.inputs, self.outputs))
        if part == self.pipe.last:
            g = np.asarray(1 / self.count, y.dtype)
        else:
            g = self._recv(part + 1, self._tag(part, a.microbatch, True))
        if self.pipe.schedule == "zero_bubble":
            self.later[a.microbatch] = backward_input(y, g)
        else:
            y.backward(g)
        self._take_time(a)
        if part > 0:
            assert x.grad is not None
            self._send(x.grad.data, part - 1, self._tag(part - 1, a.microbatch, True))

    def weights(self, a: Action) -> None:
        """The gradients of the weights, which "B" has left out."""
        self.later.pop(a.microbatch).backward_weight()
        self._take_time(a)


class _Embed(Module):
    def __init__(self, gpt: Any, positions: Any) -> None:
        super().__init__()
        self.wte, self.wpe, self.drop = gpt.wte, gpt.wpe, gpt.drop
        self.positions = positions

    def forward(self, index: Tensor) -> Tensor:
        """(N, T) -> (N, T, E)."""
        where = slice(0, index.shape[1]) if self.positions is None else self.positions
        return self.drop(self.wte(index) + self.wpe.weight[where])


class _Head(Module):
    def __init__(self, gpt: Any) -> None:
        super().__init__()
        self.ln_f, self.wte = gpt.ln_f, gpt.wte

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> logits (N, T, V), by the embedding's weights."""
        return F.linear(self.ln_f(x), self.wte.weight)


def gpt_layers(gpt: Any, positions: Any = None) -> list[Module]:
    """A `lmbook.models.gpt.GPT` as layers for `Pipeline`: embedding, blocks, output.

    `positions` says where the tokens stand, as `context_parallel` returns it.
    """
    return [_Embed(gpt, positions), *gpt.h, _Head(gpt)]


class _LlamaLayer(Module):
    def __init__(self, layer: Module, rope: Module) -> None:
        super().__init__()
        self.layer, self.rope = layer, rope

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        return self.layer(x, self.rope)


class _LlamaHead(Module):
    def __init__(self, llama: Any) -> None:
        super().__init__()
        self.norm = llama.model.norm
        if llama.config.tie_word_embeddings:
            self.embed_tokens = llama.model.embed_tokens
        else:
            self.lm_head = llama.lm_head

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> logits (N, T, V)."""
        x = self.norm(x)
        tied = self._modules.get("embed_tokens")
        return self.lm_head(x) if tied is None else F.linear(x, tied.weight)


def llama_layers(llama: Any) -> list[Module]:
    """A `lmbook.models.llama.Llama` as layers for `Pipeline`: embedding, layers, output."""
    layers = [_LlamaLayer(layer, llama.rope) for layer in llama.model.layers]
    return [llama.model.embed_tokens, *layers, _LlamaHead(llama)]
