"""Grad-CAM is what hooks in PyTorch find on the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn as tnn
from torchvision.models import resnet, vision_transformer

import lmbook
from lmbook import data, models, nn
from lmbook.backend import ShapeError
from lmbook.models.gradcam import grad_cam, resize

CLASSES = 5


def their_cam(model: tnn.Module, layer: tnn.Module, x: np.ndarray, target: list[int]) -> np.ndarray:
    """Maps by a forward hook, their gradients by a backward hook, then the paper's formula."""
    kept = {}

    def forward(module, inputs, output):
        kept["maps"] = output.detach()
        output.register_hook(lambda g: kept.update(slopes=g))

    handle = layer.register_forward_hook(forward)
    logits = model.eval()(torch.tensor(x))
    handle.remove()
    logits[torch.arange(len(x)), torch.tensor(target)].sum().backward()
    maps, slopes = kept["maps"], kept["slopes"]
    if maps.ndim == 3:
        side = int((maps.shape[1] - 1) ** 0.5)
        maps, slopes = (
            t[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2) for t in (maps, slopes)
        )
    cam = (slopes.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True).relu()
    cam = tnn.functional.interpolate(cam, x.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    return (cam / cam.amax((1, 2), keepdim=True).clamp(min=1e-12)).numpy()


def pictures(size: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((3, 3, size, size))


def pair_of_resnets() -> tuple[models.ResNet, tnn.Module]:
    torch.manual_seed(0)
    theirs = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=CLASSES).double()
    ours = models.ResNet(models.ResNetConfig((1, 1, 1, 1), num_classes=CLASSES)).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("stage", ["layer4", "layer3", "layer2"])
def test_resnet_as_hooks_in_torch_find_it(stage):
    ours, theirs = pair_of_resnets()
    x, target = pictures(96), [3, 0, 4]
    want = their_cam(theirs, getattr(theirs, stage), x, target)
    got = grad_cam(ours, getattr(ours, stage), x, target)
    assert got.shape == (3, 96, 96) and want.max() == 1
    np.testing.assert_allclose(got, want, atol=1e-9)


def test_vit_as_hooks_in_torch_find_it():
    sizes = (32, 8, 2, 4, 16, 24)
    torch.manual_seed(0)
    theirs = vision_transformer.VisionTransformer(*sizes, num_classes=CLASSES).double()
    tnn.init.normal_(theirs.heads.head.weight)
    ours = models.ViT(models.ViTConfig(*sizes, num_classes=CLASSES)).double()
    ours.load_state_dict(theirs.state_dict())
    x, target = pictures(32), [1, 2, 0]
    want = their_cam(theirs, theirs.encoder.layers[0], x, target)
    got = grad_cam(ours, ours.encoder.layers[0], x, target)
    assert want.max() == 1
    np.testing.assert_allclose(got, want, atol=1e-9)


def test_the_class_found_is_the_default_and_nothing_is_left_behind():
    model, _ = pair_of_resnets()
    model.train()
    model.bn1.eval()
    x = pictures(64)
    before = {n: a.copy() for n, a in model.state_dict().items()}
    cam = grad_cam(model, model.layer4, x, upsample=False)
    assert cam.shape == (3, 2, 2) and model.training and not model.bn1.training
    assert not model.layer4._hooks and all(p.grad is None for p in model.parameters())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    found = model.eval()(lmbook.tensor(x)).data.argmax(1)
    np.testing.assert_array_equal(cam, grad_cam(model, model.layer4, x, found, upsample=False))
    frozen = grad_cam(model.requires_grad_(False), model.layer4, x, found, upsample=False)
    np.testing.assert_allclose(frozen, cam, atol=1e-12)


def test_the_cup_is_where_the_espresso_is():
    """On the photograph of a cup the map is high on the coffee in it, and highest there."""
    classifier = models.ImageClassifier.lite0()
    x = classifier.prepare(data.photographs()["coffee"])[None]
    (cam,) = grad_cam(classifier.model, classifier.model.features[-1], x, 967)
    assert cam.shape == (224, 224) and cam.max() == 1
    coffee = np.zeros((224, 224), bool)
    coffee[45:108, 50:157] = True
    assert cam[coffee].max() == 1 and cam[coffee].mean() > 2 * cam[~coffee].mean()


@pytest.mark.parametrize("size", [(3, 3), (8, 11), (1, 1), (2, 7)])
def test_resize_is_torch_s_bilinear(size):
    x = np.random.default_rng(0).standard_normal((2, *size))
    want = tnn.functional.interpolate(
        torch.tensor(x)[:, None], (13, 9), mode="bilinear", align_corners=False
    )[:, 0]
    np.testing.assert_allclose(resize(x, 13, 9), want.numpy(), atol=1e-12)


def test_what_does_not_fit_is_told():
    model, _ = pair_of_resnets()
    x = pictures(64)
    with pytest.raises(ValueError, match="was not called; it must be part of the model"):
        grad_cam(model, nn.ReLU(), x)
    with pytest.raises(ValueError, match="target 5 is outside the model's 5 classes"):
        grad_cam(model, model.layer4, x, 5)
    with pytest.raises(ShapeError, match="needs images"):
        grad_cam(model, model.layer4, x[0])
    with pytest.raises(ShapeError, match=r"output \(3, 5\) is neither maps"):
        grad_cam(model, model.fc, x)
