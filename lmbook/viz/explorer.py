"""Explorers: sliders in a live notebook, a figure everywhere else."""

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from numbers import Integral, Real
from typing import Any

import matplotlib.pyplot as plt


def live() -> bool:
    """Whether a reader can move sliders here: a notebook's kernel, widgets, and not LMBOOK_LIVE=0."""
    shell = sys.modules.get("IPython")
    kernel = getattr(shell.get_ipython(), "kernel", None) if shell else None
    return (
        os.environ.get("LMBOOK_LIVE") != "0"
        and kernel is not None
        and find_spec("ipywidgets") is not None
    )


def defaults(draw: Callable[..., Any], controls: Mapping[str, Any]) -> dict[str, Any]:
    """`draw`'s own default for every control, checked against the control's range."""
    parameters = inspect.signature(draw).parameters
    chosen = {}
    for name, control in controls.items():
        if name not in parameters or parameters[name].default is inspect.Parameter.empty:
            raise ValueError(f"explore: give {draw.__name__} a parameter {name}=... with a default")
        value = chosen[name] = parameters[name].default
        if isinstance(control, tuple):
            if len(control) not in (2, 3) or not all(isinstance(c, Real) for c in control):
                raise ValueError(
                    f"explore: {name}={control!r}: write (low, high) or (low, high, step)"
                )
            fits = control[0] <= value <= control[1]
        elif isinstance(control, bool):
            fits = isinstance(value, bool)
        elif isinstance(control, list):
            fits = value in control
        else:
            raise TypeError(
                f"explore: {name}={control!r}: a control is (low, high[, step]), a list of "
                "options, or True or False"
            )
        if not fits:
            raise ValueError(f"explore: {name}={control!r} does not offer {value!r}, its default")
    return chosen


def _widget(label: str, value: Any, control: Any) -> Any:
    import ipywidgets

    look = {
        "description": label,
        "style": {"description_width": "initial"},
        "layout": ipywidgets.Layout(width="min(100%, 28rem)"),
    }
    if isinstance(control, bool):
        return ipywidgets.Checkbox(value=value, indent=False, **look)
    if isinstance(control, list):
        return ipywidgets.Dropdown(value=value, options=control, **look)
    low, high, *rest = control
    look |= {"continuous_update": False, "tooltip": f"{label}, from {low} to {high}"}
    if all(isinstance(v, Integral) for v in (value, *control)):
        step = rest[0] if rest else 1
        return ipywidgets.IntSlider(value=value, min=low, max=high, step=step, **look)
    step = rest[0] if rest else (high - low) / 100
    return ipywidgets.FloatSlider(value=value, min=low, max=high, step=step, **look)


def explore(
    draw: Callable[..., Any], *, labels: Mapping[str, str] | None = None, **controls: Any
) -> None:
    """Let the reader vary the arguments of `draw`, which draws a figure.

    Each control is a range (low, high) or (low, high, step), a list of options, or a truth value;
    `draw`'s own default arguments are the starting values. `labels` renames controls for people.
    Without widgets (on the website, in a verified run, outside a notebook) the figure is drawn
    once, with the defaults.
    """
    chosen = defaults(draw, controls)

    def show(**arguments: Any) -> None:
        draw(**arguments)
        plt.show()

    if not live():
        show(**chosen)
        return
    import ipywidgets
    from IPython.display import display

    named = {n: (labels or {}).get(n, n.replace("_", " ")) for n in controls}
    knobs = {n: _widget(named[n], chosen[n], c) for n, c in controls.items()}
    picture = ipywidgets.interactive_output(show, knobs)
    display(ipywidgets.VBox([*knobs.values(), picture]))
