"""Recurrent layers over a whole sequence: plain, LSTM and GRU, one layer in one direction.

Shapes: T time steps, N batch, I input, H hidden, G gates (1 plain, 4 LSTM, 3 GRU).
x (T, N, I), weight_ih (G H, I), weight_hh (G H, H), biases (G H,), states (N, H).

The inputs' share of all gates is one product over all steps; only the state's share has to go step
by step. Backward runs the steps in reverse, then takes each weight's gradient as one product. The
kernels work on turned arrays (T, features, N), see there.
"""

from collections.abc import Callable

import numpy as np

from lmbook.autograd import Tensor, primitive
from lmbook.backend import DTypeError, ShapeError, contiguous
from lmbook.backend.kernels import recurrent as k


def _input_gates(x, weight, *biases):  # type: ignore[no-untyped-def]
    """W x + b for all steps: (T, G H, N)."""
    present = [b for b in biases if b is not None]
    return k.input_gates(x, weight, sum(present[1:], present[0]) if present else None)


def _states(steps, initial):  # type: ignore[no-untyped-def]
    """Room for the states before, between and after all steps, the first (N, H) filled in."""
    states = np.empty_like(initial, shape=(steps + 1, *initial.shape[::-1]))
    states[0] = initial.T
    return states


def _gradients(needs, x, w_ih, rows, da, db):  # type: ignore[no-untyped-def]
    """Of x, both weights and both biases, from those of the input's and the state's share.

    da, db (T, G H, N); `rows` (T+1 or more, N, H) are the states, of which step t took the t-th.
    """
    before = rows[: len(da)].reshape(-1, rows.shape[-1])
    flat, dx = k.input_gradient(da, w_ih if needs[0] else None)
    state = flat if db is da else k.turn(db).reshape(flat.shape)
    bias = flat.sum(axis=0)
    return (
        dx,
        flat.T @ x.reshape(-1, x.shape[-1]) if needs[1] else None,
        state.T @ before if needs[2] else None,
        bias,
        bias.copy() if db is da else state.sum(axis=0),
    )


@primitive
def _rnn(x, w_ih, w_hh, b_ih, b_hh, h0, relu):  # type: ignore[no-untyped-def]
    """All states (T, N, H)."""
    x = contiguous(x)
    a, h = _input_gates(x, w_ih, b_ih, b_hh), _states(len(x), h0)
    k.rnn(a, w_hh, h, relu)
    rows = k.turn(h)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        da, dh = k.rnn_backward(k.turn(g), w_hh, h, relu)
        return (*_gradients(needs, x, w_ih, rows, da, da), dh.T.copy(), None)

    return rows[1:], pull


@primitive
def _lstm(x, w_ih, w_hh, b_ih, b_hh, h0, c0):  # type: ignore[no-untyped-def]
    """All states and, in one more row, the last cell: (T + 1, N, H)."""
    x, steps = contiguous(x), len(x)
    a, c = _input_gates(x, w_ih, b_ih, b_hh), _states(steps, c0)
    h, tanh_c = _states(steps + 1, h0), np.empty_like(c[1:])
    k.lstm(a, w_hh, h, c, tanh_c)
    h[-1] = c[-1]
    rows = k.turn(h)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        g = k.turn(g)
        da, dh, dc = k.lstm_backward(g[:-1], g[-1], w_hh, a, c, tanh_c)
        return (*_gradients(needs, x, w_ih, rows, da, da), dh.T.copy(), dc.T.copy())

    return rows[1:], pull


@primitive
def _gru(x, w_ih, w_hh, b_ih, b_hh, h0):  # type: ignore[no-untyped-def]
    """All states (T, N, H)."""
    x = contiguous(x)
    a, h = _input_gates(x, w_ih, b_ih), _states(len(x), h0)
    b = np.empty_like(a)
    k.gru(a, w_hh, b_hh, h, b)
    rows = k.turn(h)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        da, db, dh = k.gru_backward(k.turn(g), w_hh, a, b, h)
        return (*_gradients(needs, x, w_ih, rows, da, db), dh.T.copy())

    return rows[1:], pull


def rnn(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    nonlinearity: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """h_t = tanh(W x_t + b + U h_(t-1) + b'), or with max(0, .) if `nonlinearity` is "relu".

    Returns all states (T, N, H) and the last one (N, H). Source: Elman 1990.
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"rnn: nonlinearity {nonlinearity!r}: choose 'tanh' or 'relu'")
    (h0,) = _check("rnn", 1, x, weight_ih, weight_hh, bias_ih, bias_hh, h0=h0)
    h = _rnn(x, weight_ih, weight_hh, bias_ih, bias_hh, h0, nonlinearity == "relu")
    return h, h[-1]


def lstm(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """c_t = f_t c_(t-1) + i_t g_t and h_t = o_t tanh(c_t), with gates of W x_t + b + U h_(t-1) + b'.

    i, f, o are sigmoids and g a tanh; the weights' rows hold them in the order i, f, g, o. Returns
    all states (T, N, H), the last state and the last cell (N, H). Sources: Hochreiter and
    Schmidhuber 1997; Gers et al. 2000 for the forget gate.
    """
    h0, c0 = _check("lstm", 4, x, weight_ih, weight_hh, bias_ih, bias_hh, h0=h0, c0=c0)
    states = _lstm(x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0)
    return states[:-1], states[-2], states[-1]


def gru(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """h_t = (1 - z_t) n_t + z_t h_(t-1), with n_t = tanh(W_n x_t + b_n + r_t (U_n h_(t-1) + b'_n)).

    The reset gate r and the update gate z are sigmoids; the weights' rows hold r, z, n. Returns all
    states (T, N, H) and the last one (N, H). Source: Cho et al. 2014, with the reset gate applied
    after the product, as in PyTorch and cuDNN.
    """
    (h0,) = _check("gru", 3, x, weight_ih, weight_hh, bias_ih, bias_hh, h0=h0)
    h = _gru(x, weight_ih, weight_hh, bias_ih, bias_hh, h0)
    return h, h[-1]


def _check(
    name: str, gates: int, x: Tensor, w_ih: Tensor, w_hh: Tensor,
    b_ih: Tensor | None, b_hh: Tensor | None, **states: Tensor | None,
) -> list[Tensor]:  # fmt: skip
    """Refuse shapes and types that do not fit; the states, zeros where none was given."""
    if x.dtype.kind != "f" or x.dtype != w_ih.dtype:
        raise DTypeError(
            f"{name}: input {x.dtype} and weight {w_ih.dtype} must be of one floating-point type; "
            "convert the input with x.to(weight.dtype), or look integers up in an Embedding"
        )
    if x.ndim != 3 or 0 in x.shape[:2]:
        raise ShapeError(
            f"{name}: the input {x.shape} must be (time, batch, features), each at least 1; "
            "for (batch, time, features) use x.transpose(0, 1) or a layer with batch_first=True"
        )
    hidden = w_hh.shape[-1]
    wanted: dict[str, tuple[Tensor | None, tuple[int, ...], Callable[[], str]]] = {
        "weight_hh": (w_hh, (gates * hidden, hidden), lambda: f"{gates} gates of {hidden} units"),
        "weight_ih": (w_ih, (gates * hidden, x.shape[2]), lambda: f"the input is {x.shape}"),
        "bias_ih": (b_ih, (gates * hidden,), lambda: f"{gates} gates of {hidden} units"),
        "bias_hh": (b_hh, (gates * hidden,), lambda: f"{gates} gates of {hidden} units"),
    }
    for key, state in states.items():
        wanted[key] = (state, (x.shape[1], hidden), lambda: f"(batch, hidden), input {x.shape}")
    for key, (tensor, shape, why) in wanted.items():
        if tensor is not None and tensor.shape != shape:
            raise ShapeError(f"{name}: {key} {tensor.shape} should be {shape}: {why()}")
    zeros = (x.shape[1], hidden)
    return [Tensor(np.zeros(zeros, x.dtype)) if s is None else s for s in states.values()]
