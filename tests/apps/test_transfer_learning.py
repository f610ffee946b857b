"""Frozen parts stay as they are, heads are the optimum, last stages learn, baselines are what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import lmbook
from lmbook import functional as F
from lmbook import models, nn, optim
from lmbook.apps import transfer, transfer_runs
from lmbook.apps.hog import hog
from lmbook.apps.transfer import Transferred
from lmbook.backend import ShapeError, manual_seed

SMALL = models.EfficientNetConfig(lite=True, num_classes=10, stages=(
    (1, 3, 1, 32, 8, 1), (4, 3, 2, 8, 16, 1), (4, 3, 2, 16, 24, 1)))  # fmt: skip


def small(kind: str = "resnet") -> nn.Module:
    manual_seed(0)
    if kind == "resnet":
        return models.ResNet(models.ResNetConfig((1, 1, 1), True, 10, width=8))
    return models.EfficientNet(SMALL)


def images(n: int, side: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 3, side, side)).astype("f4")


@pytest.mark.parametrize("kind", ["resnet", "efficientnet"])
def test_it_is_the_network_with_another_head(kind: str) -> None:
    network = small(kind).eval()
    model = Transferred(network, 10).eval()
    old = network.fc if kind == "resnet" else network.classifier[1]
    x = lmbook.tensor(images(3))
    assert np.ptp(model(x).data) == 0  # the new head starts with every class alike
    model.head.load_state_dict(old.state_dict())
    np.testing.assert_allclose(model(x).data, network(x).data, atol=1e-5)
    assert (
        transfer.width(network) == old.in_features == transfer.features(model, images(2)).shape[1]
    )


@pytest.mark.parametrize("train_stages", [0, 1, 2])
def test_a_step_changes_what_is_to_learn_and_nothing_else(train_stages: int) -> None:
    model = Transferred(small("efficientnet"), 3, train_stages).train()
    nn.init.normal_(model.head.weight)  # a head of zeros sends no gradient back
    before = {n: a.copy() for n, a in model.state_dict().items()}
    learning = [p for p in model.parameters() if p.requires_grad]
    assert sum(p.data.size for p in learning) == model.trained()
    optimizer = optim.AdamW(learning, 0.01)
    F.cross_entropy(model(lmbook.tensor(images(4))), lmbook.tensor([0, 1, 2, 0])).backward()
    optimizer.step()
    changed = {n for n, a in model.state_dict().items() if not np.array_equal(a, before[n])}
    names = {n for n, _ in model.named_parameters() if n.startswith(("head.", "tail."))}
    assert changed == names  # so also no running mean or variance
    assert bool(train_stages) == any(n.startswith("tail.") for n in names)


def test_statistics_of_a_network_frozen_by_its_gradients_alone_move() -> None:
    network = small()
    network.requires_grad_(False)
    before = network.bn1.running_mean.data.copy()
    network.train()(lmbook.tensor(images(4) + 3))
    assert np.abs(network.bn1.running_mean.data - before).max() > 1e-3


def test_resnet_50_with_a_new_head() -> None:
    with nn.init.shapes_only():
        model = Transferred(models.ResNet(models.RESNETS["resnet50"]), 2)
    assert model.trained() == 2 * 2048 + 2
    assert model.num_parameters() == 25_557_032 - 1000 * 2049 + 4098
    last = Transferred(models.ResNet(models.RESNETS["resnet18"]), 2, train_stages=1)
    assert last.trained() == 8_393_728 + 1026  # layer4 of ResNet-18, and the head


def test_what_cannot_be_transferred_is_told() -> None:
    with pytest.raises(TypeError, match="takes a ResNet or an EfficientNet, not LeNet"):
        transfer.stages(models.LeNet(models.LeNetConfig()))
    with pytest.raises(ValueError, match="1 classes; a classifier has two"):
        Transferred(small(), 1)
    with pytest.raises(ValueError, match="train_stages 9, the network has 4 stages"):
        Transferred(small(), 2, 9)
    with pytest.raises(ValueError, match="no stage is to be trained"):
        transfer.fine_tune(Transferred(small(), 2), images(4), np.arange(4) % 2)
    with pytest.raises(ShapeError, match=r"wants grey pictures \(N, 1, H, W\), got \(2, 3"):
        transfer.as_photographs(images(2), 10)


def test_grey_pictures_become_photographs() -> None:
    grey = np.linspace(0, 1, 16, dtype="f4").reshape(1, 1, 4, 4)
    x = transfer.as_photographs(grey, 4)
    assert x.shape == (1, 3, 4, 4) and x.dtype == np.float32
    np.testing.assert_allclose(x[0, 1], (grey[0, 0] * 255 - 127) / 128, atol=1e-6)
    np.testing.assert_array_equal(
        transfer.as_photographs(grey, 4, (0,) * 3, (1,) * 3)[0, 2], grey[0, 0]
    )
    larger = transfer.as_photographs(grey, 8, (0,) * 3, (1,) * 3)[:, :1]
    want = torch.nn.functional.interpolate(torch.tensor(grey), 8, mode="bilinear")
    np.testing.assert_allclose(larger, want.numpy(), atol=1e-6)


def blobs(n: int, classes: int = 3, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    y = np.arange(n) % classes
    centres = random.normal(size=(classes, width)) * 0.8
    return (centres[y] + random.normal(size=(n, width))) * 5 + 2, y


def test_a_head_is_scikit_learn_s_logistic_regression() -> None:
    x, y = blobs(150)
    head, decay = transfer.fit_head(x, y, decays=(0.02,))
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    theirs = LogisticRegression(C=1 / (0.02 * len(x)), tol=1e-8, max_iter=1000).fit(scaled, y)
    got = x @ head.weight.data.T + head.bias.data
    want = theirs.decision_function(scaled)
    centred = got - got.mean(axis=1, keepdims=True)  # softmax does not see what all classes share
    np.testing.assert_allclose(centred, want - want.mean(axis=1, keepdims=True), atol=0.01)
    assert decay == 0.02


def test_cross_validation_chooses_the_decay() -> None:
    x, y = np.random.default_rng(2).normal(size=(60, 200)), np.arange(60) % 2  # nothing to learn
    weak, strong = 1e-6, 1.0
    assert transfer.fit_head(x, y, decays=(weak, strong))[1] == strong
    clear = np.where(y[:, None] == 1, 1.0, -1.0) + 0.1 * np.random.default_rng(3).normal(
        size=(60, 3)
    )
    assert transfer.fit_head(clear, y, decays=(1e-3, 1e3))[1] == 1e-3
    with pytest.raises(ValueError, match="all labels are the same"):
        transfer.fit_head(x, np.zeros(60, int))
    with pytest.raises(ShapeError, match=r"features \(60, 200\) and labels \(59,\)"):
        transfer.fit_head(x, y[1:])


def test_a_last_stage_learns_what_a_head_alone_cannot() -> None:
    model = Transferred(small("efficientnet"), 2, train_stages=2)
    x = images(48, 32)
    y = (x[:, :1].mean(axis=(1, 2, 3)) > 0).astype(int)
    maps = transfer.maps(model, x)
    pooled = transfer.features(model, x)
    np.testing.assert_allclose(
        transfer.scores(model, maps), pooled @ model.head.weight.data.T, atol=1e-5
    )
    frozen = {n: a.copy() for n, a in model.body.state_dict().items()}
    losses = transfer.fine_tune(model, maps, y, steps=60, lr=0.02, progress=False)
    assert len(losses) == 60 and losses[-5:].mean() < 0.9 * losses[:5].mean()
    assert all(np.array_equal(a, frozen[n]) for n, a in model.body.state_dict().items())
    again = Transferred(small("efficientnet"), 2, train_stages=2)
    repeated = transfer.fine_tune(again, maps, y, steps=60, lr=0.02, progress=False)
    np.testing.assert_array_equal(losses, repeated)


def test_hog_by_hand() -> None:
    """A vertical edge: all gradients point across it, which is direction 0, shared by two bins."""
    x = np.zeros((1, 1, 8, 8))
    x[..., 4:] = 1
    found = hog(x, cell=4, bins=9).reshape(4, 9)
    assert np.allclose(found[:, 1:8], 0)  # bins of 30 to 150 degrees
    assert np.allclose(found[:, 0], found[:, 8]) and np.allclose(np.linalg.norm(found), 1)
    np.testing.assert_allclose(found[:, 0], 1 / np.sqrt(8), rtol=1e-4)
    np.testing.assert_allclose(hog(0.1 * x + 0.5, 4), hog(x, 4), atol=1e-4)
    turned = hog(x.swapaxes(2, 3), 4).reshape(4, 9)
    assert np.allclose(turned.argmax(axis=1), 4)  # 80 to 100 degrees
    assert hog(np.zeros((2, 1, 100, 100)), 10).shape == (2, 9 * 9 * 36)
    with pytest.raises(ShapeError, match="of sides that 3 divides"):
        hog(x, 3)


def test_chosen_labels_are_of_all_classes_as_the_whole(rng: np.random.Generator) -> None:
    labels = (rng.random(1000) < 0.3).astype(int)
    rows = rng.permutation(1000)[:600]
    few = transfer_runs.choose(labels, rows, 50)
    assert len(few) == 50 == len(set(few)) and set(few) <= set(rows)
    assert abs(labels[few].mean() - labels[rows].mean()) < 0.02
    assert set(few) <= set(transfer_runs.choose(labels, rows, 200))
    assert transfer_runs.choose(labels, rows, 600) is rows


def test_every_method_runs_and_is_stored(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lmbook import data

    parts = data.mnist_5k()
    few = data.Splits(
        *(data.Images(p.images[:n], p.labels[:n]) for p, n in zip(parts, (140, 5, 40)))
    )
    monkeypatch.setattr(data, "mnist_5k", lambda: few)
    monkeypatch.setattr(transfer_runs, "COUNTS", {"digits": (100,)})
    monkeypatch.setattr(transfer_runs, "STEPS", {100: 2})
    monkeypatch.setattr(transfer_runs, "EPOCHS", {("digits", 100): 1})
    monkeypatch.setattr(transfer_runs, "PLAIN", {("digits", 100)})
    monkeypatch.setitem(transfer_runs.SEEDS, "digits", (0,))
    path = tmp_path / "runs.csv"
    transfer_runs.main(["digits", "--scratch", "--csv", str(path)])
    runs = transfer_runs.measured(path)
    assert [r.method for r in runs] == sorted(
        transfer_runs.METHODS, key=lambda m: m in transfer_runs.SLOW
    )
    assert all(r.test == 40 and r.labels == 100 and 0 <= r.balanced <= 1 for r in runs)
    by_name = {r.method: r for r in runs}
    assert by_name["frozen"].right > by_name["one class"].right + 8
    assert by_name["frozen"].right > by_name["frozen, tested on 0 to 1"].right
    stamp = path.read_bytes()
    transfer_runs.main(["digits", "--scratch", "--csv", str(path)])  # nothing is left to do
    assert path.read_bytes() == stamp


def test_the_stored_runs_are_complete() -> None:
    runs = transfer_runs.measured()
    have = [(r.data, r.method, r.labels, r.seed) for r in runs]
    want = {(which, *run) for which in transfer_runs.COUNTS for run in transfer_runs.wanted(which)}
    assert set(have) >= want and len(have) == len(set(have))
    assert {r.test for r in runs} == {654, 1000}
    for r in runs:
        assert 0 < r.right <= r.test and 0 < r.balanced <= 1 and r.seconds >= 0
        assert r.method == "one class" or r.accuracy > (100 / 10 if r.data == "digits" else 65)


def test_a_stored_run_comes_out_again() -> None:
    """Support vectors on 100 digits: the run that takes no network."""
    from lmbook import data

    parts = data.mnist_5k()
    images, labels = (np.concatenate(field) for field in zip(*parts))
    order = np.random.RandomState(0).permutation(len(parts.train.labels))
    chosen, test = transfer_runs.choose(labels, order, 100), np.arange(4000, 5000)
    described = np.zeros((5000, 1296))
    for rows in (chosen, test):
        described[rows] = hog(images[rows], 4)
    none = np.zeros(0)
    view = transfer_runs.Views(
        none, described, none, none, none, labels, lambda seed: (order, test), None
    )
    again = transfer_runs.score("digits", "HOG, SVM", view, 100, 0)
    (stored,) = [r for r in transfer_runs.measured() if
                 (r.data, r.method, r.labels, r.seed) == ("digits", "HOG, SVM", 100, 0)]  # fmt: skip
    assert abs(again.right - stored.right) <= 5
