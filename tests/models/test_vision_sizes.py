"""Every published size has the parameters of torchvision's build, or of the paper's table."""

from __future__ import annotations

import re

import pytest
import torch
import torchvision
from proofs import sized

from lmbook import models
from lmbook.models.efficientnet import channels
from lmbook.nn.init import shapes_only

PUBLISHED = {
    **{name: (models.ResNet, config) for name, config in models.RESNETS.items()},
    **{name: (models.VGG, config) for name, config in models.VGGS.items()},
    **{name: (models.ViT, config) for name, config in models.VITS.items()},
    **{
        name: (models.EfficientNet, config)
        for name, config in models.EFFICIENTNETS.items()
        if "lite" not in name
    },
    "alexnet": (models.AlexNet, models.AlexNetConfig()),
}
KNOWN = {
    "resnet18": 11_689_512, "resnet50": 25_557_032, "resnet152": 60_192_808, "vgg16": 138_357_544,
    "efficientnet_b0": 5_288_548, "efficientnet_b7": 66_347_960, "vit_b_16": 86_567_656,
    "vit_h_14": 632_045_800, "alexnet": 61_100_840,
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_shapes_and_count_are_torchvision_s(name):
    kind, config = PUBLISHED[name]
    with shapes_only():
        ours = kind(config)
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)()
    shapes = {n: tuple(a.shape) for n, a in theirs.state_dict().items()}
    assert {n: a.shape for n, a in ours.state_dict().items()} == shapes
    count = ours.num_parameters()
    sized(name, kind, count, sum(p.numel() for p in theirs.parameters()), f"torchvision {name}")
    if name in KNOWN:
        sized(name, kind, count, KNOWN[name], "pinned")


def test_all_that_were_asked_for_are_there():
    assert {int(n[6:]) for n in models.RESNETS} == {18, 34, 50, 101, 152}
    assert {re.sub("_bn", "", n) for n in models.VGGS} == {f"vgg{n}" for n in (11, 13, 16, 19)}
    assert len(models.VGGS) == 8 and len(models.VITS) == 5
    names = [f"efficientnet_b{i}" for i in range(8)] + [f"efficientnet_lite{i}" for i in range(5)]
    assert list(models.EFFICIENTNETS) == names


@pytest.mark.parametrize(("size", "millions"), [(0, 4.7), (1, 5.4), (2, 6.1), (3, 8.2), (4, 13.0)])
def test_lite_networks_have_the_published_counts(size, millions):
    """In millions, as the README of EfficientNet-lite tells them."""
    name = f"efficientnet_lite{size}"
    with shapes_only():
        count = models.EfficientNet(models.EFFICIENTNETS[name]).num_parameters()
    assert round(count / 1e6, 1) == millions
    sized(
        name, models.EfficientNet, count, 1e6 * millions, "README of EfficientNet-lite", 0.05 / millions
    )  # fmt: skip


def test_paper_s_alexnet_and_lenet():
    """60 million (Krizhevsky et al. 2012), 60,000 (LeCun et al. 1998): counted layer by layer."""
    with shapes_only():
        alexnet = models.AlexNet(models.AlexNetConfig(two_towers=True))
    convolutions = (
        96 * (3 * 11**2 + 1) + 256 * (48 * 25 + 1) + 384 * (256 * 9 + 1) + 384 * (192 * 9 + 1)
        + 256 * (192 * 9 + 1)
    )  # fmt: skip
    dense = 4096 * (256 * 36 + 1) + 4096 * 4097 + 1000 * 4097
    assert alexnet.num_parameters() == 60_965_224
    sized(
        "alexnet, two towers", models.AlexNet, alexnet.num_parameters(), convolutions + dense,
        "layers of krizhevsky2012",
    )  # fmt: skip
    lenet = models.LeNet5(models.LeNetConfig())
    layers = [
        getattr(lenet, name).num_parameters() for name in ("c1", "s2", "c3", "s4", "c5", "f6")
    ]
    assert layers == [156, 12, 1516, 32, 48_120, 10_164]
    count = lenet.num_parameters()
    sized("lenet-5 of 1998", models.LeNet5, count, 60_000, "lecun1998, section II.B")
    count = models.LeNet(models.LeNetConfig()).num_parameters()
    layers = [6 * 26, 16 * (6 * 25 + 1), 120 * (16 * 25 + 1), 84 * 121, 10 * 85]
    sized("lenet", models.LeNet, count, sum(layers), "the sum of its layers")


def test_channels_round_to_eight_and_lose_no_tenth():
    assert [channels(32, w) for w in (1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0)] == [
        32, 32, 40, 48, 48, 56, 64,
    ]  # fmt: skip
    assert channels(9, 1.25) == 16  # 11.25 would round to 8, which loses more than a tenth
