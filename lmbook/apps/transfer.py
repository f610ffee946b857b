"""Transfer learning: a network that learned on photographs gets a new head, and perhaps a new last stage.

    model = Transferred(network, classes=2)                  # all but the head is frozen
    x = features(model, images)                              # computed once, as they will not change
    head, decay = fit_head(x, labels)                        # ... and the head is a logistic regression
    model.head.load_state_dict(head.state_dict())

Sources: Donahue et al. 2014 for frozen features; Yosinski et al. 2014 for how many stages to train again;
Kumar et al. 2022 for the head first, then the stages.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import models, nn, optim
from lmbook.autograd import Tensor, no_grad
from lmbook.backend import ShapeError, manual_seed
from lmbook.models.gradcam import resize
from lmbook.optim.lr_scheduler import WarmupCosineLR
from lmbook.training import Trainer

DECAYS = (0.03, 0.3, 3.0)
"""What `fit_head` chooses from: half of it times the squared weights is added to the mean loss."""


def stages(model: nn.Module) -> list[nn.Module]:
    """The parts of a ResNet or EfficientNet between the image and its last maps, in order.

    Stem and `layer1` to `layer4` of the one, the entries of `features` of the other. The parts are the
    model's own, no copies.
    """
    if isinstance(model, models.ResNet):
        stem = nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool)
        return [stem, *(getattr(model, f"layer{i + 1}") for i in range(len(model.config.layers)))]
    if isinstance(model, models.EfficientNet):
        return list(model.features)
    raise TypeError(f"transfer: takes a ResNet or an EfficientNet, not {type(model).__name__}")


def width(model: nn.Module) -> int:
    """How many features the old head takes."""
    head = model.fc if isinstance(model, models.ResNet) else model.classifier[1]
    return head.in_features


class Transferred(nn.Module):
    """Images (N, C, H, W) in, logits (N, classes) out: `body`, `tail`, mean over places, `head`.

    `body` is frozen: its parameters have no gradient. `tail` is the last `train_stages` of the network and
    learns on. In both batch norm keeps the means and variances that it learned before, also in training
    mode: a few pictures of another kind would replace those of a million, frozen weights or not.
    The network's own parts are used, and its old head is left out.
    """

    def __init__(self, model: nn.Module, classes: int, train_stages: int = 0) -> None:
        super().__init__()
        parts = stages(model)
        if classes < 2:
            raise ValueError(f"Transferred: {classes} classes; a classifier has two or more")
        if not 0 <= train_stages <= len(parts):
            raise ValueError(
                f"Transferred: train_stages {train_stages}, the network has {len(parts)} stages"
            )
        cut = len(parts) - train_stages
        self.body, self.tail = nn.Sequential(*parts[:cut]), nn.Sequential(*parts[cut:])
        self.body.requires_grad_(False)
        self.avgpool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(width(model), classes)
        nn.init.zeros_(self.head.weight)  # at first every class is as likely as the other
        nn.init.zeros_(self.head.bias)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Transferred":
        """Training mode for the head alone: batch norm's statistics stay."""
        super().train(mode)
        self.body.eval()
        self.tail.eval()
        return self

    def pooled(self, maps: Tensor) -> Tensor:
        """Maps of the body -> features (N, C)."""
        return self.avgpool(self.tail(maps)).flatten(1)

    def after(self, maps: Tensor) -> Tensor:
        """Maps of the body -> logits (N, classes)."""
        return self.head(self.pooled(maps))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        return self.after(self.body(x))

    def trained(self) -> int:
        """How many parameters learn."""
        return sum(p.data.size for p in self.parameters() if p.requires_grad)


def _in_batches(function: Any, images: np.ndarray, batch_size: int) -> np.ndarray:
    with no_grad():
        parts = [
            function(Tensor(images[i : i + batch_size])).data
            for i in range(0, len(images), batch_size)
        ]
    return np.concatenate(parts)


def maps(model: Transferred, images: np.ndarray, batch_size: int = 8) -> np.ndarray:
    """What the frozen body makes of images: computed once for all epochs."""
    return _in_batches(model.eval().body, images, batch_size)


def features(model: Transferred, images: np.ndarray, batch_size: int = 8) -> np.ndarray:
    """Features (N, C) of images, what the head sees."""
    model.eval()
    return _in_batches(lambda x: model.pooled(model.body(x)), images, batch_size)


def as_photographs(
    grey: np.ndarray,
    side: int,
    mean: Sequence[float] | np.ndarray = (127 / 255,) * 3,
    std: Sequence[float] | np.ndarray = (128 / 255,) * 3,
) -> np.ndarray:
    """Grey pictures (N, 1, H, W) from 0 to 1 as a network of photographs takes them: (N, 3, side, side).

    The same grey in red, green and blue, less `mean`, over `std`; bilinear between pixels. The defaults are
    those of EfficientNet-lite0, mean 0 and std 1 leave numbers as they are.
    """
    if grey.ndim != 4 or grey.shape[1] != 1:
        raise ShapeError(f"as_photographs: wants grey pictures (N, 1, H, W), got {grey.shape}")
    one = resize(grey[:, 0], side, side)[:, None].astype(np.float32)
    shape = (1, 3, 1, 1)
    return (one - np.reshape(mean, shape).astype("f4")) / np.reshape(std, shape).astype("f4")


def fit_head(
    x: np.ndarray,
    labels: np.ndarray,
    classes: int | None = None,
    decays: Sequence[float] = DECAYS,
    folds: int = 3,
    seed: int = 0,
) -> tuple[nn.Linear, float]:
    """A head for frozen features, by L-BFGS, and the weight decay it has.

        mean of -log p(label)  +  decay / 2 sum of W^2,     for standardised features

    A feature that hardly varies is divided by a tenth of the mean deviation: by its own it would be blown up
    where it does vary, in one picture of a test, and decide alone.

    Each decay is tried with `folds`-fold cross-validation on these examples alone, and the one with the
    least log loss fits all of them. The standardisation is folded into the returned weights, which take the
    features as they are. Shapes: x (N, C), labels (N,). Convex: the same examples give the same head.
    """
    x, labels = np.asarray(x, np.float64), np.asarray(labels)
    if x.ndim != 2 or labels.shape != (len(x),):
        raise ShapeError(
            f"fit_head: features {x.shape} and labels {labels.shape}, want (N, C), (N,)"
        )
    classes = int(labels.max()) + 1 if classes is None else classes
    if len(np.unique(labels)) < 2:
        raise ValueError("fit_head: all labels are the same; give examples of each class")
    if len(decays) > 1:
        fold = np.empty(len(x), int)  # each class equally often in each fold
        generator = np.random.default_rng(seed)
        for c in np.unique(labels):
            rows = generator.permutation(np.flatnonzero(labels == c))
            fold[rows] = np.arange(len(rows)) % folds
        losses = [
            sum(_held_out(x, labels, classes, decay, fold == k) for k in range(folds))
            for decay in decays
        ]
        decay = decays[int(np.argmin(losses))]
    else:
        decay = decays[0]
    weight, bias = _logistic(x, labels, classes, decay)
    head = nn.Linear(x.shape[1], classes)
    head.load_state_dict({"weight": weight.astype("f4"), "bias": bias.astype("f4")})
    return head, decay


def _held_out(x: np.ndarray, y: np.ndarray, classes: int, decay: float, out: np.ndarray) -> float:
    """The summed log loss of the examples held out."""
    if len(np.unique(y[~out])) < 2 or not out.any():
        return 0.0
    weight, bias = _logistic(x[~out], y[~out], classes, decay)
    logits = Tensor(x[out] @ weight.T + bias)
    return F.cross_entropy(logits, Tensor(y[out]), reduction="sum").item()


def _logistic(
    x: np.ndarray, y: np.ndarray, classes: int, decay: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (classes, C) and biases of the convex problem, for features as they are."""
    mean, std = x.mean(axis=0), x.std(axis=0)
    std = np.maximum(std, 0.1 * std.mean() + 1e-12)
    inputs, target = Tensor((x - mean) / std), Tensor(y)
    layer = nn.Linear(x.shape[1], classes).double()
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = optim.LBFGS(
        layer.parameters(), max_iter=60, history_size=10, tolerance_change=1e-6,
        tolerance_grad=1e-5, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(inputs), target) + decay / 2 * (layer.weight**2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    weight = layer.weight.data / std
    return weight, layer.bias.data - weight @ mean


def fine_tune(
    model: Transferred,
    body_maps: np.ndarray,
    labels: np.ndarray,
    steps: int = 100,
    lr: float = 1e-4,
    batch_size: int = 32,
    weight_decay: float = 0.01,
    seed: int = 0,
    progress: bool | None = None,
) -> np.ndarray:
    """Train the tail and the head on maps of the body; the losses of the steps.

    Give the head its best weights first: a random one sends large gradients into what is good already. AdamW
    with warm-up and a cosine. Each map is mirrored with probability 1/2, as a picture mirrored gives nearly
    the same maps mirrored.
    """
    if model.trained() == model.head.weight.data.size + model.head.bias.data.size:
        raise ValueError(
            "fine_tune: no stage is to be trained; build Transferred with train_stages"
        )
    manual_seed(seed)
    generator = np.random.default_rng(seed)

    def batches() -> Any:
        while True:
            order = generator.permutation(len(labels))
            for rows in np.array_split(order, max(1, len(order) // batch_size)):
                x = body_maps[rows].astype(np.float32)
                flip = generator.random(len(rows)) < 0.5
                yield np.where(flip[:, None, None, None], x[..., ::-1], x), labels[rows]

    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = optim.AdamW(learning, lr, weight_decay=weight_decay)
    schedule = WarmupCosineLR(optimizer, max(2, steps), warmup=max(1, steps // 10))

    def loss(net: Transferred, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(net.after(x), y)

    trainer = Trainer(model, optimizer, loss, schedule, clip_norm=1.0, progress=progress)
    history = trainer.fit(batches(), steps=steps)
    model.eval()
    return np.array(history["loss"])


def scores(model: Transferred, body_maps: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Logits (N, classes) from maps of the body."""
    model.eval()
    return _in_batches(model.after, body_maps.astype(np.float32), batch_size)
