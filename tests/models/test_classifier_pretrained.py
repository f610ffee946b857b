"""A ResNet's weights from a file or folder of torchvision, transformers; and files that are none."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from proofs import Pair, close
from safetensors.torch import save_file
from torchvision.models import resnet, resnet50

from lmbook import models
from lmbook.backend import CheckpointError
from lmbook.data import DataError, photographs
from lmbook.models.classifier import MEAN, STD


@pytest.fixture(scope="module")
def theirs() -> Any:
    """A small ResNet of torchvision with bottlenecks, random, with statistics of its own."""
    torch.manual_seed(0)
    model = resnet.ResNet(resnet.Bottleneck, [1, 2, 1, 1], num_classes=7).eval()
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.uniform_(*((0.5, 1.5) if "var" in name else (-0.2, 0.2)))
    return model


@pytest.mark.parametrize("ending", ["pth", "safetensors", "old.pth"])
def test_a_file_of_torchvision_s_gives_its_logits(theirs: Any, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"weights.{ending}"
    if ending == "safetensors":
        save_file(theirs.state_dict(), path)
    else:
        torch.save(theirs.state_dict(), path, _use_new_zipfile_serialization=ending == "pth")
    ours = models.ImageClassifier.from_pretrained(path)
    assert ours.model.config == models.ResNetConfig((1, 2, 1, 1), True, 7)
    assert ours.names == [f"class {i}" for i in range(7)]
    pictures = list(photographs().values())[:2]
    with torch.no_grad():
        want = theirs(torch.tensor(np.stack([ours.prepare(p) for p in pictures]))).numpy()
    assert np.abs(want[0] - want[1]).max() > 0.01  # the pictures reach the last layer
    pair = Pair("ResNet, from a file", models.ResNet, "torchvision ResNet", "torchvision")
    close(pair, "logits", ours.logits(*pictures), want, 1e-4, "max |y|", float(np.abs(want).max()))


def test_a_whole_resnet_50_of_torchvision_s(tmp_path: Path) -> None:
    """All 25,557,032 weights, under the names of the public file; and no counters, as old files have."""
    torch.manual_seed(1)
    theirs = resnet50(weights=None).eval()
    state = {n: v for n, v in theirs.state_dict().items() if "num_batches" not in n}
    save_file(state, tmp_path / "resnet50.safetensors")
    ours = models.ImageClassifier.from_pretrained(tmp_path / "resnet50.safetensors")
    assert ours.model.config == models.RESNETS["resnet50"]
    assert ours.model.num_parameters() == 25_557_032
    assert ours.names[285] == "Egyptian cat"
    picture = photographs()["chelsea"]
    with torch.no_grad():
        want = theirs(torch.tensor(ours.prepare(picture)[None])).numpy()
    pair = Pair("ResNet-50, whole", models.ResNet, "torchvision resnet50", "torchvision")
    close(pair, "logits", ours.logits(picture), want, 1e-4, "max |y|", float(np.abs(want).max()))


def test_a_folder_of_transformers_brings_names_and_mean(tmp_path: Path) -> None:
    names = {0: "sound", 1: "defective"}
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[32, 64], depths=[1, 1], id2label=names
    )
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path)
    plain = models.ImageClassifier.from_pretrained(tmp_path)
    assert plain.names == ["sound", "defective"] and np.allclose(plain.mean, MEAN)
    note = tmp_path / "preprocessor_config.json"
    note.write_text(json.dumps({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1]}))
    noted = models.ImageClassifier.from_pretrained(str(tmp_path))
    assert np.allclose(noted.mean, [0.5, 0.4, 0.3]) and not np.allclose(noted.std, STD)
    note.write_text(json.dumps({"image_mean": [0.5]}))
    with pytest.raises(CheckpointError, match=r"image_mean is .*, want three numbers"):
        models.ImageClassifier.from_pretrained(tmp_path)


def test_what_is_no_checkpoint_is_told(theirs: Any, tmp_path: Path) -> None:
    state = theirs.state_dict()
    load = models.ImageClassifier.from_pretrained

    def file(name: str, **changes: torch.Tensor | None) -> Path:
        kept = {**state, **{k.replace("__", "."): v for k, v in changes.items()}}
        path = tmp_path / name
        save_file({n: v.clone() for n, v in kept.items() if v is not None}, path)
        return path

    whole = file("whole.safetensors").read_bytes()
    (tmp_path / "short.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"short.safetensors"):
        load(tmp_path / "short.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks nothing .* is not given \['bn1.weight'\]"):
        load(file("missing.safetensors", bn1__weight=None))
    with pytest.raises(CheckpointError, match=r"lacks \['more'\] of what is given"):
        load(file("extra.safetensors", more=torch.zeros(2)))
    with pytest.raises(CheckpointError, match=r"bn1.bias has shape \(3,\)"):
        load(file("shape.safetensors", bn1__bias=torch.zeros(3)))
    with pytest.raises(CheckpointError, match="no ResNet in torchvision's names"):
        load(file("headless.safetensors", fc__weight=None))
    with pytest.raises(
        CheckpointError, match="is for pictures of 1 channels; photographs have red"
    ):
        load(file("grey.safetensors", conv1__weight=torch.zeros(64, 1, 7, 7)))
    torch.save(state, tmp_path / "whole.pth")
    cut = (tmp_path / "whole.pth").read_bytes()[:50_000]
    (tmp_path / "cut.pth").write_bytes(cut)
    with pytest.raises(DataError, match=r"cut.pth is no weights file of PyTorch, or is damaged"):
        load(tmp_path / "cut.pth")
    (tmp_path / "hostile.pth").write_bytes(pickle.dumps({"conv1.weight": print}))
    with pytest.raises(DataError, match=r"nothing of it was run|does not begin as PyTorch's"):
        load(tmp_path / "hostile.pth")
    with pytest.raises(FileNotFoundError, match=r"nothing.pth: no such file"):
        load(tmp_path / "nothing.pth")


def test_a_picture_of_a_pixel_s_height_does_not_fill_the_memory() -> None:
    ours = models.ImageClassifier(models.LeNet(models.LeNetConfig()), [])
    line = np.zeros((1, 2_000_000, 3), np.uint8)
    line[:, 1_000_000:] = 255
    seen = ours.prepare(line)
    assert seen.shape == (3, 224, 224) and seen[0, 0, 0] < seen[0, 0, -1]
    assert np.allclose(ours.prepare(line.swapaxes(0, 1)), seen.swapaxes(1, 2), atol=1e-5)
