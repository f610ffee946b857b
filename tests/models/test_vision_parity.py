"""Logits, gradients and running statistics are torchvision's, through safetensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from proofs import Pair, close
from safetensors.torch import save_file
from torch import nn as tnn
from torchvision.models import AlexNet, resnet, vgg, vision_transformer
from vision_references import CLASSES, MBCONV, images, stir, their_efficientnet, their_resnet

import lmbook
from lmbook import functional as F
from lmbook import models, nn
from lmbook.backend import ShapeError
from lmbook.models.vision import rename
from lmbook.training.checkpoint import load_tensors


def classifier(inputs: int, dropout_first: bool) -> tnn.Sequential:
    """torchvision's head with 16 hidden units in place of 4096."""
    a, b, c = tnn.Linear(inputs, 16), tnn.Linear(16, 16), tnn.Linear(16, CLASSES)
    rest = (tnn.Dropout(0.0), a, tnn.ReLU()), (tnn.Dropout(0.0), b, tnn.ReLU())
    parts = [*rest[0], *rest[1]] if dropout_first else [*rest[0][1:], rest[1][0], *rest[1][1:]]
    return tnn.Sequential(*parts, *([] if dropout_first else [tnn.Dropout(0.0)]), c)


def their_vgg(norm: bool) -> tnn.Module:
    model = vgg.VGG(tnn.Sequential(), init_weights=False)
    model.features = vgg.make_layers([8, "M", 12, 12, "M"], batch_norm=norm)
    model.classifier = classifier(12 * 49, False)
    return model


def their_alexnet() -> tnn.Module:
    with torch.device("meta"):
        model = AlexNet()
    model.features.to_empty(device="cpu")
    model.classifier = classifier(256 * 36, True)
    return model


def small_vgg(norm: bool) -> models.VGG:
    return models.VGG(models.VGGConfig((1, 2), norm, CLASSES, 0.0, (8, 12), 16))


def small_resnet(bottleneck: bool) -> models.ResNet:
    return models.ResNet(models.ResNetConfig((1, 2, 1, 1), bottleneck, CLASSES))


VIT = (32, 8, 2, 4, 16, 24)
PAIRS: dict[str, tuple[Callable[[], nn.Module], Callable[[], tnn.Module], int]] = {
    "AlexNet": (
        lambda: models.AlexNet(models.AlexNetConfig(CLASSES, 0.0, hidden=16)), their_alexnet, 63,
    ),
    "VGG": (lambda: small_vgg(False), lambda: their_vgg(False), 28),
    "VGG, batch norm": (lambda: small_vgg(True), lambda: their_vgg(True), 28),
    "ResNet, basic": (lambda: small_resnet(False), lambda: their_resnet(resnet.BasicBlock), 40),
    "ResNet, bottleneck": (lambda: small_resnet(True), lambda: their_resnet(resnet.Bottleneck), 40),
    "EfficientNet": (
        lambda: models.EfficientNet(
            models.EfficientNetConfig(
                stages=MBCONV, dropout=0.0, stochastic_depth=0.0, num_classes=CLASSES
            )
        ),
        their_efficientnet, 33,
    ),
    "ViT": (
        lambda: models.ViT(models.ViTConfig(*VIT, num_classes=CLASSES)),
        lambda: vision_transformer.VisionTransformer(*VIT, num_classes=CLASSES), 32,
    ),
}  # fmt: skip


def loaded(ours: nn.Module, theirs: tnn.Module, folder: Any, change: Any = None) -> nn.Module:
    """Ours with the weights of theirs, through a file with their public names."""
    file = folder / "model.safetensors"
    save_file({n: v.contiguous() for n, v in theirs.state_dict().items()}, file)
    state, _ = load_tensors(file)
    ours.load_state_dict(state if change is None else change(state))
    return ours


@pytest.mark.parametrize("name", PAIRS)
def test_logits_gradients_and_statistics_are_torchvision_s(name, tmp_path):
    build, reference, size = PAIRS[name]
    theirs = stir(reference())
    ours = loaded(build(), theirs, tmp_path)
    x = images(size)
    with torch.no_grad():
        want = theirs.eval()(torch.tensor(x)).numpy()
    assert np.abs(want).max() > 0.05  # something to compare
    kind = type(theirs).__name__
    pair = Pair(name, type(ours), f"torchvision {kind}", "torchvision")
    close(pair, "logits", ours.eval()(lmbook.tensor(x)).data, want, 1e-4, "1 + |y|")
    ours.double().train()
    theirs.double().train()
    mine, y = lmbook.tensor(x.astype("f8"), requires_grad=True), np.array([1, 5, 0])
    other = torch.tensor(x.astype("f8"), requires_grad=True)
    logits, their_logits = ours(mine), theirs(other)
    F.cross_entropy(logits, lmbook.tensor(y)).backward()
    tnn.functional.cross_entropy(their_logits, torch.tensor(y)).backward()
    close(pair, "logits", logits.data, their_logits.detach().numpy(), 1e-8, "1 + |y|")
    gradients = {"the image": (mine.grad, other.grad)}
    given = dict(theirs.named_parameters())
    gradients |= {n: (p.grad, given[n].grad) for n, p in ours.named_parameters()}
    for a, b in gradients.values():
        unit = max(float(b.abs().max()), 1e-6)
        close(pair, "gradients", a.data, b.numpy(), 1e-7, "max |y|", unit)
    buffers = dict(theirs.named_buffers())
    for n, b in ours.named_buffers():
        close(pair, "running statistics", b.data, buffers[n].numpy(), 1e-9, "1 + |y|")
    assert len(dict(ours.named_buffers())) == len(buffers)


def test_two_towers_are_torch_s_groups_and_normalisation():
    ours = models.AlexNet(models.AlexNetConfig(CLASSES, two_towers=True, hidden=16)).eval()
    state = {n: torch.tensor(a) for n, a in ours.state_dict().items()}
    x = torch.tensor(images(99, 2))
    f = tnn.functional

    def conv(x: Any, i: int, **options: Any) -> Any:
        return f.relu(
            f.conv2d(x, state[f"features.{i}.weight"], state[f"features.{i}.bias"], **options)
        )

    y = f.max_pool2d(f.local_response_norm(conv(x, 0, stride=4), 5, 5e-4, 0.75, 2.0), 3, 2)
    y = conv(y, 4, padding=2, groups=2)
    y = f.max_pool2d(f.local_response_norm(y, 5, 5e-4, 0.75, 2.0), 3, 2)
    y = conv(conv(y, 8, padding=1), 10, padding=1, groups=2)
    want = f.max_pool2d(conv(y, 12, padding=1, groups=2), 3, 2).numpy()
    got = ours.features(lmbook.tensor(x.numpy())).data
    pair = Pair("AlexNet, two towers", models.AlexNet, "torch layers")
    close(pair, "feature maps", got, want, 1e-5)


def test_lenets_train_and_see_only_their_connections(rng):
    x = rng.random((20, 1, 28, 28)).astype("f4")
    y = lmbook.tensor(np.arange(20) % 10)
    for kind in (models.LeNet, models.LeNet5):
        model = kind(models.LeNetConfig())
        optimizer = lmbook.optim.AdamW(model.parameters(), 3e-3)
        losses = []
        for _ in range(60):
            loss = F.cross_entropy(model(lmbook.tensor(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.6 * losses[0], kind.__name__
    maps = np.zeros((1, 6, 14, 14), "f4")
    base = model.c3(lmbook.tensor(maps)).data
    maps[0, 3] = 1  # map 3 of S2 feeds the outputs of table I that list it
    moved = np.abs(model.c3(lmbook.tensor(maps)).data - base).max(axis=(0, 2, 3)) > 0
    assert list(np.flatnonzero(moved)) == [1, 2, 3, 6, 7, 8, 9, 12, 14, 15]
    with pytest.raises(ShapeError, match=r"must be \(batch, channels, 32, 32\) or 28"):
        model(lmbook.zeros(1, 1, 30, 30))
    with pytest.raises(ValueError, match="activation 'swish' is none of"):
        models.LeNet(models.LeNetConfig(activation="swish"))


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(ShapeError, match="do not divide into patches"):
        models.ViT(models.ViTConfig(30, 8, 1, 1, 8, 8))
    model = models.ViT(models.ViTConfig(16, 8, 1, 1, 8, 8))
    with pytest.raises(ShapeError, match=r"must be \(batch, 3, 16, 16\)"):
        model(lmbook.zeros(1, 3, 24, 24))


def test_two_names_that_become_one_are_refused():
    with pytest.raises(KeyError, match=r"checkpoint: two entries become 'a', 'b' is the second"):
        rename({"a": 0, "b": 0}, [("b", "a")])
