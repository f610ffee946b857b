"""The MLP and the GPT in JAX, each step one compiled function, where JAX is installed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.workloads import Workload, data

State = dict[str, Any]


def linear(s: State, name: str, x: Any) -> Any:
    """x W^T + b."""
    return x @ s[f"{name}.weight"].T + s[f"{name}.bias"]


def norm(s: State, name: str, x: Any) -> Any:
    """Layer normalisation."""
    mean = x.mean(-1, keepdims=True)
    var = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(var + 1e-5) * s[f"{name}.weight"] + s[f"{name}.bias"]


def mlp(s: State, w: Workload, x: Any) -> Any:
    """Logits of the MLP."""
    for i in (0, 2):
        x = jax.nn.relu(linear(s, str(i), x))
    return linear(s, "4", x)


def gpt(s: State, w: Workload, index: Any) -> Any:
    """Logits of the GPT."""
    n, t = index.shape
    heads, width = w.sizes["heads"], w.sizes["width"]
    x = s["wte.weight"][index] + s["wpe.weight"][:t]
    hidden = jnp.triu(jnp.full((t, t), -jnp.inf), 1)
    for i in range(w.sizes["layers"]):
        name = f"h.{i}"
        qkv = linear(s, f"{name}.attn.c_attn", norm(s, f"{name}.ln_1", x))
        q, k, v = (
            part.reshape(n, t, heads, width // heads).transpose(0, 2, 1, 3)
            for part in jnp.split(qkv, 3, axis=-1)
        )
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(width // heads) + hidden
        y = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(n, t, width)
        x = x + linear(s, f"{name}.attn.c_proj", y)
        h = jax.nn.gelu(linear(s, f"{name}.mlp.c_fc", norm(s, f"{name}.ln_2", x)), approximate=True)
        x = x + linear(s, f"{name}.mlp.c_proj", h)
    return norm(s, "ln_f", x) @ s["wte.weight"].T


class Jaxed:
    """One workload with JAX."""

    def __init__(self, w: Workload, variant: str) -> None:
        self.batches, self.taken = data(w), 0
        network = {"mlp": mlp, "gpt": gpt}[w.kind]

        def loss(s: State, x: Any, y: Any) -> Any:
            logits = jax.nn.log_softmax(network(s, w, x))
            return -jnp.take_along_axis(logits, y[..., None], axis=-1).mean()

        def adam(s: State, m: State, v: State, t: Any, x: Any, y: Any) -> Any:
            value, g = jax.value_and_grad(loss)(s, x, y)
            t, each = t + 1, jax.tree.map
            m = each(lambda a, b: 0.9 * a + 0.1 * b, m, g)
            v = each(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)

            def move(p: Any, a: Any, b: Any) -> Any:
                return p - 1e-3 * a / (1 - 0.9**t) / (jnp.sqrt(b / (1 - 0.999**t)) + 1e-8)

            return value, each(move, s, m, v), m, v, t

        self.loss, self.gradient = jax.jit(loss), jax.jit(jax.grad(loss))
        self.update = jax.jit(adam, donate_argnums=(0, 1, 2))

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take over lmbook's weights."""
        self.state = {n: jnp.asarray(a) for n, a in state.items()}
        self.m, self.v = ({n: jnp.zeros_like(a) for n, a in self.state.items()} for _ in range(2))
        self.t = jnp.asarray(0.0)

    def result(self) -> dict[str, np.ndarray]:
        """What must agree: the first batch's loss in float32, its gradients in float64."""
        x, y = self.batches[0]
        found = {"loss": np.asarray(self.loss(self.state, x, y))}
        with jax.enable_x64():
            state = {n: jnp.asarray(a, dtype=jnp.float64) for n, a in self.state.items()}
            wide = x.astype(np.float64) if x.dtype == np.float32 else x
            found |= {n: np.asarray(g) for n, g in self.gradient(state, wide, y).items()}
        return found

    def step(self) -> None:
        """One training step."""
        batch = self.batches[self.taken % len(self.batches)]
        self.taken += 1
        value, *found = self.update(self.state, self.m, self.v, self.t, *batch)
        self.state, self.m, self.v, self.t = found
        float(value)

    @staticmethod
    def about() -> dict[str, str]:
        """Versions."""
        return {"JAX": jax.__version__}
