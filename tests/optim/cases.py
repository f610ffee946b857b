"""What the tests of the optimisers share: settings, a changing loss, and two landscapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbook import Tensor, as_tensor

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.05}),
    "SGD, decay": ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    "SGD, momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "SGD, momentum and decay": ("SGD", {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.1}),
    "SGD, Nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "SGD, Nesterov and decay": (
        "SGD",
        {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    "SGD, dampening": ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    "SGD, upwards": ("SGD", {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.1, "maximize": True}),
    "Adam": ("Adam", {"lr": 0.05}),
    "Adam, betas": ("Adam", {"lr": 0.02, "betas": (0.5, 0.8), "eps": 1e-3}),
    "Adam, no memory": ("Adam", {"lr": 0.02, "betas": (0.0, 0.0)}),
    "Adam, decay": ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    "Adam, AMSGrad": ("Adam", {"lr": 0.05, "amsgrad": True, "betas": (0.9, 0.5)}),
    "Adam, upwards": ("Adam", {"lr": 0.01, "maximize": True}),
    "Adam, decoupled": (
        "Adam",
        {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    "AdamW": ("AdamW", {"lr": 0.05}),
    "AdamW, decay": ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "betas": (0.9, 0.95)}),
    "AdamW, AMSGrad": (
        "AdamW",
        {"lr": 0.05, "amsgrad": True, "betas": (0.9, 0.5), "maximize": True},
    ),
    "Adagrad": ("Adagrad", {"lr": 0.1}),
    "Adagrad, all options": (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2,
         "eps": 1e-3},
    ),
    "Adagrad, upwards": ("Adagrad", {"lr": 0.01, "maximize": True}),
    "RMSprop": ("RMSprop", {"lr": 0.02}),
    "RMSprop, centered": ("RMSprop", {"lr": 0.02, "centered": True, "alpha": 0.8, "eps": 1e-3}),
    "RMSprop, momentum and decay": (
        "RMSprop",
        {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1},
    ),
    "RMSprop, all options": (
        "RMSprop",
        {"lr": 0.01, "alpha": 0.9, "eps": 1e-2, "momentum": 0.5, "weight_decay": 0.1,
         "centered": True, "maximize": True},
    ),
    "Adafactor": ("Adafactor", {"lr": 0.1}),
    "Adafactor, all options": (
        "Adafactor",
        {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-2, 1e-1), "d": 1.5, "weight_decay": 0.1},
    ),
    "Adafactor, upwards": ("Adafactor", {"lr": 0.01, "maximize": True}),
    "NAdam": ("NAdam", {"lr": 0.02}),
    "NAdam, decay": ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "momentum_decay": 0.05}),
    "NAdam, all options": (
        "NAdam",
        {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1,
         "decoupled_weight_decay": True, "maximize": True},
    ),
    "RAdam": ("RAdam", {"lr": 0.05}),
    "RAdam, decay": ("RAdam", {"lr": 0.05, "weight_decay": 0.1}),
    "RAdam, all options": (
        "RAdam",
        {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1,
         "decoupled_weight_decay": True, "maximize": True},
    ),
}  # fmt: skip

# Held against their references in files of their own
LION: dict[str, dict[str, Any]] = {
    "Lion": {"lr": 0.01},
    "Lion, all options": {
        "lr": 0.01, "betas": (0.5, 0.8), "weight_decay": 0.3, "maximize": True,
    },
}  # fmt: skip
MUON: dict[str, dict[str, Any]] = {
    "Muon": {"lr": 0.02},
    "Muon, plain momentum": {"lr": 0.02, "nesterov": False, "momentum": 0.8, "weight_decay": 0.0},
    "Muon, as long as AdamW": {"lr": 0.02, "adjust_lr_fn": "match_rms_adamw"},
    "Muon, all options": {
        "lr": 0.02, "weight_decay": 0.3, "momentum": 0.5, "ns_coefficients": (2.0, -1.5, 0.5),
        "eps": 1e-2, "ns_steps": 3, "adjust_lr_fn": "original",
    },
}  # fmt: skip
LBFGS: dict[str, dict[str, Any]] = {
    "LBFGS": {"lr": 0.1, "max_iter": 4},
    "LBFGS, short history": {"lr": 0.2, "max_iter": 5, "history_size": 2, "max_eval": 4},
    "LBFGS, strong Wolfe": {"line_search_fn": "strong_wolfe", "max_iter": 4},
    "LBFGS, all options": {
        "lr": 0.5, "max_iter": 6, "max_eval": 30, "tolerance_grad": 1e-3, "tolerance_change": 1e-5,
        "history_size": 3, "line_search_fn": "strong_wolfe",
    },
}  # fmt: skip
EVERY = {
    **SETTINGS,
    **{kind: ("Lion", settings) for kind, settings in LION.items()},
    **{kind: ("Muon", settings) for kind, settings in MUON.items()},
    **{kind: ("LBFGS", settings) for kind, settings in LBFGS.items()},
}


def problem(parameters: list[Any], data: list[Any], step: int) -> Any:
    """A loss that changes from step to step, of a matrix, a vector and a number."""
    w, b, s = parameters
    x, y = data[step % len(data)]
    h = (x @ w + b).tanh() * s
    loss = ((h - y) * (h - y)).mean()
    return loss if step % 4 else loss + (b * b).sum()


# Downhill: every optimiser on the same two functions


def parabola(x: Tensor) -> Tensor:
    return ((x - as_tensor(np.array([3.0, -1.0]))) * as_tensor(np.array([1.0, 3.0]))).square().sum()


def rosenbrock(x: Tensor) -> Tensor:
    """A bent valley with its floor at (1, 1)."""
    return (1 - x[0]).square() + 100 * (x[1] - x[0].square()).square()


DOWNHILL: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.05}, {"lr": 1e-3}),
    "momentum": ("SGD", {"lr": 0.01, "momentum": 0.9}, {"lr": 2e-4, "momentum": 0.95}),
    "Nesterov": ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True},
                 {"lr": 2e-4, "momentum": 0.95, "nesterov": True}),
    "Adam": ("Adam", {"lr": 0.1}, {"lr": 0.02}),
    "AdamW": ("AdamW", {"lr": 0.1, "weight_decay": 0.0}, {"lr": 0.02, "weight_decay": 0.0}),
    "AMSGrad": ("Adam", {"lr": 0.1, "amsgrad": True}, {"lr": 0.02, "amsgrad": True}),
    "NAdam": ("NAdam", {"lr": 0.1}, {"lr": 0.02}),
    "RAdam": ("RAdam", {"lr": 0.1}, {"lr": 1e-3}),
    "Adagrad": ("Adagrad", {"lr": 0.5}, {"lr": 0.5}),
    "RMSprop": ("RMSprop", {"lr": 0.01}, {"lr": 1e-3}),
    "Adafactor": ("Adafactor", {"lr": 0.1}, {"lr": 0.1}),
    "Lion": ("Lion", {"lr": 0.01}, {"lr": 1e-3}),
    "Muon": ("Muon", {"lr": 0.01, "weight_decay": 0.0}, {"lr": 5e-4, "weight_decay": 0.0}),
    "LBFGS": ("LBFGS", {"max_iter": 5}, {"lr": 0.1, "max_iter": 5}),
    "LBFGS, strong Wolfe": ("LBFGS", {"line_search_fn": "strong_wolfe"},
                            {"line_search_fn": "strong_wolfe"}),
}  # fmt: skip
