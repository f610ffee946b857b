"""Real weights on real photographs: the numbers of the package's own implementation."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from proofs import Pair, close, sized
from torchvision import transforms

from lmbook import data, models
from lmbook.backend import ShapeError
from lmbook.data.cards import Archive
from lmbook.models.classifier import MEAN, STD
from lmbook.models.efficientnet import from_lukemelas
from lmbook.nn.init import shapes_only

REFERENCE = Archive(
    package="efficientnet-lite-pytorch",
    version="0.1.0",
    filename="efficientnet_lite_pytorch-0.1.0-py3-none-any.whl",
    sha256="ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
    size=22_649,
    members=("efficientnet_lite_pytorch/*.py",),
    licence="Apache-2.0",
    licence_file="efficientnet_lite_pytorch-0.1.0.dist-info/LICENSE",
)
RIGHT = {
    "chelsea": {281, 282, 285}, "coffee": {967}, "motorcycle_left": {665, 670},
    "rocket": {657, 744},
}  # fmt: skip


@pytest.fixture(scope="module")
def classifier() -> models.ImageClassifier:
    return models.ImageClassifier.lite0()


@pytest.fixture(scope="module")
def reference():
    """The package that the weights were made for, read from its wheel."""
    sys.path.insert(0, str(data.fetch(REFERENCE)))
    try:
        from efficientnet_lite_pytorch import EfficientNet

        yield EfficientNet
    finally:
        sys.path.pop(0)


def picture(**sizes: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (sizes["h"], sizes["w"], 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_logits_are_the_reference_s_on_photographs(classifier, reference):
    theirs = reference.from_name("efficientnet-lite0").eval()
    state = data.efficientnet_lite0()
    theirs.load_state_dict({n: torch.tensor(a) for n, a in state.items()})
    pictures = list(data.photographs().values())
    x = np.stack([classifier.prepare(p) for p in pictures])
    with torch.no_grad():
        want = theirs(torch.tensor(x)).numpy()
    got = classifier.logits(*pictures)
    pair = Pair(
        "EfficientNet-lite0", models.EfficientNet, "efficientnet-lite-pytorch EfficientNet",
        "efficientnet_pytorch", real=True,
    )  # fmt: skip
    close(pair, "logits of four photographs", got, want, 1e-4)
    assert np.abs(want).max() > 8
    sized(
        "efficientnet_lite0", models.EfficientNet, classifier.model.num_parameters(),
        sum(p.numel() for p in theirs.parameters()), "efficientnet-lite-pytorch EfficientNet",
    )  # fmt: skip


@pytest.mark.parametrize("size", range(1, 5))
def test_larger_lite_networks_are_the_reference_s(size, reference):
    """Names, shapes, and the gradient's way: TensorFlow's padding at odd sizes."""
    theirs = reference.from_name(f"efficientnet-lite{size}")
    config = models.EFFICIENTNETS[f"efficientnet_lite{size}"]
    with shapes_only():
        ours = models.EfficientNet(config)
    renamed = from_lukemelas(theirs.state_dict(), config)
    assert {n: tuple(v.shape) for n, v in renamed.items()} == {
        n: a.shape for n, a in ours.state_dict().items()
    }
    sized(
        f"efficientnet_lite{size}", models.EfficientNet, ours.num_parameters(),
        sum(p.numel() for p in theirs.parameters()), "efficientnet-lite-pytorch EfficientNet",
    )  # fmt: skip


def test_photographs_are_named(classifier):
    assert set(RIGHT) == set(data.photographs())
    right = 0
    for name, pixels in data.photographs().items():
        guesses = classifier(pixels)
        assert len(guesses) == 5 and all(classifier.names[g.label] == g.name for g in guesses)
        p = [g.probability for g in guesses]
        assert p == sorted(p, reverse=True) and 0 < sum(p) < 1
        right += guesses[0].label in RIGHT[name]
    assert right == data.registry["photographs"].baseline("right first guesses")
    cup = classifier(data.photographs()["coffee"], top=1)
    assert [g.name for g in cup] == ["espresso"] and cup[0].probability > 0.9


def test_names_are_those_of_the_classes():
    names = data.imagenet_names()
    assert len(names) == 1000
    known = {0: "tench, Tinca tinca", 285: "Egyptian cat", 967: "espresso", 985: "daisy",
             999: "toilet tissue, toilet paper, bathroom tissue"}  # fmt: skip
    assert {i: names[i] for i in known} == known


@pytest.mark.parametrize(("h", "w"), [(300, 451), (451, 300), (256, 256), (90, 131), (1000, 257)])
def test_pictures_are_prepared_as_torchvision_does(h, w):
    ours = models.ImageClassifier(models.LeNet(models.LeNetConfig()), [])
    theirs = transforms.Compose(
        [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
         transforms.Normalize(MEAN, STD)]
    )  # fmt: skip
    content = picture(h=h, w=w)
    want = theirs(Image.open(io.BytesIO(content))).numpy()
    got = ours.prepare(content)
    assert got.dtype == np.float32 and got.shape == (3, 224, 224)
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_what_is_no_picture_is_told(classifier, tmp_path):
    with pytest.raises(ValueError, match="the bytes given is not one that can be read"):
        classifier(b"no picture")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"picture .*notes.txt is not one that can be read"):
        classifier(tmp_path / "notes.txt")
    with pytest.raises(ValueError, match="or is damaged"):
        classifier(picture(h=80, w=80)[:2000])
    with pytest.raises(FileNotFoundError, match=r"picture .*nothing.png: no such file"):
        classifier(tmp_path / "nothing.png")
    with pytest.raises(ShapeError, match=r"must be uint8 of shape \(height, width, 3\), got float"):
        classifier(np.zeros((50, 50, 3)))
    with pytest.raises(ValueError, match="crop 300 does not fit into resize 256"):
        models.ImageClassifier(classifier.model, classifier.names, crop=300)


def test_grey_and_transparent_pictures_are_taken(classifier):
    grey = data.photographs()["chelsea"].mean(axis=2).astype(np.uint8)
    assert classifier(grey)[0].label in RIGHT["chelsea"]
    file = io.BytesIO()
    Image.fromarray(data.photographs()["coffee"]).convert("RGBA").save(file, "PNG")
    assert classifier(file.getvalue())[0].name == "espresso"


def test_weights_that_do_not_fit_are_told():
    state = data.efficientnet_lite0()
    config = models.EFFICIENTNETS["efficientnet_lite0"]
    model = models.EfficientNet(config)
    before = model.features[0][0].weight.data.copy()
    renamed = from_lukemelas(state, config)
    short = {n: a for n, a in renamed.items() if n != "classifier.1.bias"}
    with pytest.raises(KeyError, match=r"is not given \['classifier.1.bias'\]"):
        model.load_state_dict(short)
    with pytest.raises(ShapeError, match=r"classifier.1.bias has shape \(999,\), the module's"):
        model.load_state_dict(renamed | {"classifier.1.bias": np.zeros(999)})
    with pytest.raises(KeyError, match=r"lacks \['extra'\]"):
        model.load_state_dict(renamed | {"extra": np.zeros(1)})
    np.testing.assert_array_equal(model.features[0][0].weight.data, before)
