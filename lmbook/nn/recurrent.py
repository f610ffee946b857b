"""Recurrent layers and cells: RNN, LSTM, GRU, with PyTorch's parameters.

Shapes: T time steps, N batch, I input, H hidden, L layers, D directions (2 if bidirectional).
"""

import math
from typing import Any

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.autograd.ops import cat, stack
from lmbook.backend import ShapeError
from lmbook.nn import init
from lmbook.nn.module import Module, Parameter


def _uniform(module: Module, name: str, *shape: int) -> None:
    """A parameter uniform within 1 / sqrt(hidden_size), as PyTorch's."""
    bound = 1 / math.sqrt(module.hidden_size)
    module.register_parameter(name, Parameter(init.uniform_(init.new(*shape), -bound, bound)))


class Recurrent(Module):
    """What RNN, LSTM and GRU share: layers, directions, dropout between layers, states.

    Parameters of layer l: weight_ih_l{l} (G H, I or D H), weight_hh_l{l} (G H, H), bias_ih_l{l} and
    bias_hh_l{l} (G H,); those of the backward direction end in `_reverse`.
    """

    gates = 1
    states = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        if input_size < 1 or hidden_size < 1 or num_layers < 1:
            raise ValueError(
                f"{type(self).__name__}: input_size {input_size}, hidden_size {hidden_size} and "
                f"num_layers {num_layers} must be at least 1"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"{type(self).__name__}: dropout = {dropout} is not in [0, 1)")
        self.dropout = dropout
        rows, directions = self.gates * hidden_size, 2 if bidirectional else 1
        for layer in range(num_layers):
            width = input_size if layer == 0 else directions * hidden_size
            for suffix in self._suffixes(layer):
                _uniform(self, f"weight_ih_{suffix}", rows, width)
                _uniform(self, f"weight_hh_{suffix}", rows, hidden_size)
                for name in (f"bias_ih_{suffix}", f"bias_hh_{suffix}") if bias else ():
                    _uniform(self, name, rows)

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        return (f"l{layer}", f"l{layer}_reverse") if self.bidirectional else (f"l{layer}",)

    def _run(self, x: Tensor, weights: list[Any], states: list[Any]) -> tuple[Tensor, ...]:
        """One layer in one direction: all states, then each last state."""
        raise NotImplementedError(f"{type(self).__name__} has no _run method: write one")

    def _layers(self, x: Tensor, given: tuple[Tensor, ...] | None) -> tuple[Tensor, list[Tensor]]:
        """The last layer's states, and each kind of final state of all layers (L D, N, H)."""
        name = type(self).__name__
        batched = x.ndim == 3
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            order = "(batch, time" if self.batch_first else "(time, batch"
            raise ShapeError(
                f"{name}: the input {x.shape} must be {order}, {self.input_size}), or "
                f"(time, {self.input_size}) for one sequence"
            )
        if not batched:
            x = x.unsqueeze(1)
        elif self.batch_first:
            x = x.transpose(0, 1)
        directions = 2 if self.bidirectional else 1
        count = directions * self.num_layers
        if given is not None:
            shape = (count, x.shape[1], self.hidden_size)
            given = tuple(s if batched else s.unsqueeze(1) for s in given)
            for s in given:
                if s.shape != shape:
                    raise ShapeError(
                        f"{name}: an initial state has shape {s.shape}, it should be (layers x "
                        f"directions, batch, hidden) = {shape}, also if batch_first"
                    )
        finals: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            if layer > 0:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for suffix in self._suffixes(layer):
                backward = suffix.endswith("reverse")
                weights = [getattr(self, f"weight_{w}_{suffix}") for w in ("ih", "hh")]
                weights += [
                    getattr(self, f"bias_{b}_{suffix}") if self.bias else None for b in ("ih", "hh")
                ]
                start = [None] * self.states if given is None else [s[len(finals)] for s in given]
                y, *last = self._run(x.flip(0) if backward else x, weights, start)
                outputs.append(y.flip(0) if backward else y)
                finals.append(tuple(last))
            x = cat(outputs, -1) if self.bidirectional else outputs[0]
        states = [stack(kind) for kind in zip(*finals, strict=True)]
        if not batched:
            return x.squeeze(1), [s.squeeze(1) for s in states]
        return (x.transpose(0, 1) if self.batch_first else x), states

    def extra_repr(self) -> str:
        """Sizes."""
        text = f"{self.input_size}, {self.hidden_size}"
        text += f", num_layers={self.num_layers}" if self.num_layers > 1 else ""
        for flag in ("batch_first", "bidirectional"):
            text += f", {flag}=True" if getattr(self, flag) else ""
        return text


class RNN(Recurrent):
    """h_t = tanh(W x_t + b + U h_(t-1) + b'), in `num_layers` layers; or with "relu".

    `layer(x, h0)` returns the last layer's states (T, N, D H) and the final states (L D, N, H);
    x is (T, N, I), or (N, T, I) with `batch_first`, which then also holds for the states returned,
    or (T, I). `h0` (L D, N, H) is zero unless given. Source: Elman 1990.
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: nonlinearity {nonlinearity!r}: choose 'tanh' or 'relu'")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        )
        self.nonlinearity = nonlinearity

    def _run(self, x: Tensor, weights: list[Any], states: list[Any]) -> tuple[Tensor, ...]:
        w_ih, w_hh, b_ih, b_hh = weights
        return F.rnn(x, w_ih, w_hh, b_ih, b_hh, states[0], self.nonlinearity)

    def forward(self, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The last layer's states, and the final states of all layers."""
        y, (h,) = self._layers(x, None if h0 is None else (h0,))
        return y, h


class GRU(Recurrent):
    """Gated recurrent unit, in `num_layers` layers; arguments and shapes as `RNN`'s.

    h_t = (1 - z_t) n_t + z_t h_(t-1); see `functional.gru`. Source: Cho et al. 2014.
    """

    gates = 3

    def _run(self, x: Tensor, weights: list[Any], states: list[Any]) -> tuple[Tensor, ...]:
        return F.gru(x, *weights, *states)

    def forward(self, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The last layer's states, and the final states of all layers."""
        y, (h,) = self._layers(x, None if h0 is None else (h0,))
        return y, h


class LSTM(Recurrent):
    """Long short-term memory, in `num_layers` layers; shapes as `RNN`'s.

    c_t = f_t c_(t-1) + i_t g_t, h_t = o_t tanh(c_t); see `functional.lstm`. `layer(x, (h0, c0))`
    returns the states, and the pair of final states and cells. Sources: Hochreiter and Schmidhuber
    1997; Gers et al. 2000.
    """

    gates = 4
    states = 2

    def _run(self, x: Tensor, weights: list[Any], states: list[Any]) -> tuple[Tensor, ...]:
        return F.lstm(x, *weights, *states)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The last layer's states, and the final states and cells of all layers."""
        if state is not None and (not isinstance(state, tuple | list) or len(state) != 2):
            raise TypeError("LSTM: the initial state is a pair (h0, c0)")
        y, (h, c) = self._layers(x, None if state is None else tuple(state))
        return y, (h, c)


class Cell(Module):
    """What the cells share: weight_ih (G H, I), weight_hh (G H, H), bias_ih and bias_hh (G H,)."""

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self.gates * hidden_size
        _uniform(self, "weight_ih", rows, input_size)
        _uniform(self, "weight_hh", rows, hidden_size)
        for name in ("bias_ih", "bias_hh"):
            if bias:
                _uniform(self, name, rows)
            else:
                self.register_parameter(name, None)

    def _step(self, run: Any, x: Tensor, *states: Tensor | None, **options: Any) -> list[Tensor]:
        """One step of the whole-sequence function `run`, for x (N, I) or (I,)."""
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{type(self).__name__}: the input {x.shape} must be (batch, {self.input_size}) or "
                f"({self.input_size},), one step"
            )
        single = x.ndim == 1
        x = x.reshape(1, -1, self.input_size)
        start = [s.unsqueeze(0) if single and s is not None else s for s in states]
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        _, *last = run(x, *weights, *start, **options)
        return [s.squeeze(0) for s in last] if single else last

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.input_size}, {self.hidden_size}"


class RNNCell(Cell):
    """One step of `RNN`: `cell(x, h)` for x (N, I), h (N, H) returns the next h."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        self.nonlinearity = nonlinearity

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """The next state."""
        return self._step(F.rnn, x, h, nonlinearity=self.nonlinearity)[0]


class GRUCell(Cell):
    """One step of `GRU`: `cell(x, h)` for x (N, I), h (N, H) returns the next h."""

    gates = 3

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """The next state."""
        return self._step(F.gru, x, h)[0]


class LSTMCell(Cell):
    """One step of `LSTM`: `cell(x, (h, c))` returns the next pair."""

    gates = 4

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The next state and cell."""
        h, c = self._step(F.lstm, x, *(state or (None, None)))
        return h, c
