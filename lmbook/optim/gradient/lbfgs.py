"""L-BFGS: curvature learned from the last steps and gradients."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lmbook.autograd import Tensor, enable_grad
from lmbook.optim.gradient.line_search import Point, strong_wolfe
from lmbook.optim.gradient.optimizer import Optimizer, positive


class LBFGS(Optimizer):
    """p <- p + t d,  d = -H g, where H, the inverse curvature, is built from the last steps.

    With y = change of the gradient and s = change of p in a step, H is the matrix nearest to the last
    one that maps y to s; two loops over `history_size` pairs apply it without forming it. One call of
    `step(closure)` makes up to `max_iter` such steps with at most `max_eval` evaluations (by default
    5/4 as many); `closure` clears the gradients, computes the loss, calls backward and returns the
    loss, the same function each time. t is `lr`, or, with `line_search_fn="strong_wolfe"`, searched for
    along d from `lr`. It stops early where no gradient exceeds `tolerance_grad` or where loss or
    parameters change by less than `tolerance_change`. All parameters form one group.
    Source: Liu and Nocedal 1989, with the rules of PyTorch.
    """

    reach = "all"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        positive("LBFGS", lr=lr, tolerance_grad=tolerance_grad, tolerance_change=tolerance_change)
        if history_size < 1 or max_iter < 1:
            raise ValueError(
                f"LBFGS: history_size {history_size} and max_iter {max_iter} must be 1 or more"
            )
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(
                f'LBFGS: line_search_fn {line_search_fn!r} must be "strong_wolfe" or None'
            )
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        settings: dict[str, Any] = {"lr": lr, "max_iter": max_iter, "max_eval": max_eval}
        settings |= {"tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change}
        settings |= {"history_size": history_size, "line_search_fn": line_search_fn}
        super().__init__(params, settings)
        if len(self.param_groups) != 1:
            raise ValueError(
                f"LBFGS: got {len(self.param_groups)} groups, it takes one; pass a list of parameters"
            )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` steps; returns the loss before the first."""
        if closure is None:
            raise TypeError("LBFGS: step needs a closure that computes loss and gradients again")
        group = self.param_groups[0]
        state = self.state.setdefault(id(group["params"][0]), {})
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first, loss, g = self._evaluate(closure)
        used = 1
        state["func_evals"] += 1
        for i in range(group["max_iter"]):
            if np.abs(g).max().item() <= group["tolerance_grad"] or (
                i and used >= group["max_eval"]
            ):
                break
            state["n_iter"] += 1
            d = state["d"] = self._direction(g, state, group["history_size"])
            state.update(prev_flat_grad=g, prev_loss=loss)
            state["t"] = group["lr"]
            if state["n_iter"] == 1:
                state["t"] *= min(1.0, 1.0 / np.abs(g).sum().item())
            slope = (g @ d).item()
            if slope > -group["tolerance_change"]:
                break
            evaluations = 0
            if group["line_search_fn"]:
                point, evaluations = self._search(closure, Point(0.0, loss, g, slope), d, used)
                state["t"], loss, g = point.t, point.loss, point.gradient
                self._move(state["t"], d)
            else:
                self._move(state["t"], d)
                if i + 1 < group["max_iter"]:
                    _, loss, g = self._evaluate(closure)
                    evaluations = 1
            used += evaluations
            state["func_evals"] += evaluations
            if state["t"] * np.abs(d).max().item() <= group["tolerance_change"]:
                break
            if abs(loss - state["prev_loss"]) < group["tolerance_change"]:
                break
        return first

    def _direction(self, g: np.ndarray, state: dict[str, Any], history_size: int) -> np.ndarray:
        """-H g; first, the newest pair enters the history, and the oldest leaves if it is full."""
        if state["n_iter"] == 1:
            none = np.empty_like(g, shape=(0, g.size))
            state.update(old_dirs=none, old_stps=none, H_diag=1.0)
            return -g
        y, s = g - state["prev_flat_grad"], state["d"] * g.dtype.type(state["t"])
        if (curvature := (y @ s).item()) > 1e-10:
            state["old_dirs"] = np.vstack([state["old_dirs"], y])[-history_size:]
            state["old_stps"] = np.vstack([state["old_stps"], s])[-history_size:]
            state["H_diag"] = curvature / (y @ y).item()
        past = zip(state["old_dirs"], state["old_stps"], strict=True)
        pairs = [(y, s, 1 / (y @ s)) for y, s in past]
        q, weights = -g, []
        for y, s, rho in reversed(pairs):
            weights.append(rho * (s @ q))
            q = q - weights[-1] * y
        q = q * g.dtype.type(state["H_diag"])
        for (y, s, rho), weight in zip(pairs, reversed(weights), strict=True):
            q = q + (weight - rho * (y @ q)) * s
        return q

    def _search(
        self, closure: Callable[[], Any], start: Point, d: np.ndarray, used: int
    ) -> tuple[Point, int]:
        """A point along d by line search; the parameters are left where they were."""
        group = self.param_groups[0]
        here = [p.data.copy() for p in group["params"]]

        def evaluate(t: float) -> Point:
            self._move(t, d)
            _, loss, g = self._evaluate(closure)
            for p, kept in zip(group["params"], here, strict=True):
                p.data[...] = kept
            return Point(t, loss, g, (g @ d).item())

        t = self.state[id(group["params"][0])]["t"]
        return strong_wolfe(
            evaluate, start, t, np.abs(d).max().item(), max_ls=group["max_eval"] - used
        )

    def _evaluate(self, closure: Callable[[], Any]) -> tuple[Any, float, np.ndarray]:
        """What the closure returns, the same as a number, and all gradients in one vector."""
        with enable_grad():
            loss = closure()
        return loss, float(loss.item() if isinstance(loss, Tensor) else loss), self._flat()

    def _flat(self) -> np.ndarray:
        """All gradients in one vector, zeros where there is none."""
        parts = []
        for p in self.param_groups[0]["params"]:
            g = self._gradient(p)
            parts.append(np.zeros_like(p.data).reshape(-1) if g is None else g.reshape(-1))
        return np.concatenate(parts)

    def _move(self, t: float, d: np.ndarray) -> None:
        """p <- p + t d, for all parameters."""
        start = 0
        for p in self.param_groups[0]["params"]:
            part = d[start : start + p.data.size].reshape(p.shape)
            x = p.data
            x += x.dtype.type(t) * part
            p._version[0] += 1
            start += x.size

    def _shape(self, key: str, value: np.ndarray, p: Tensor) -> tuple[int, ...]:
        size = sum(q.data.size for q in self._parameters())
        return (len(value), size) if key in ("old_dirs", "old_stps") else (size,)
