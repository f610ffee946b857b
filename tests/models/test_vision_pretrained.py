"""`from_pretrained` reads what transformers and timm save of vision models, and refuses what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers
from proofs import Pair, close
from safetensors.torch import load_file, save_file
from torchvision.models import resnet
from vision_references import (
    CLASSES,
    MBCONV,
    images,
    same_logits,
    stir,
    their_efficientnet,
    their_resnet,
)

import lmbook
from lmbook import models
from lmbook.backend import CheckpointError

VIT: dict[str, Any] = {
    "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 4, "intermediate_size": 24,
    "image_size": 32, "patch_size": 8, "num_labels": CLASSES,
}  # fmt: skip
EFFICIENTNET: dict[str, Any] = {
    "image_size": 60, "width_coefficient": 1.1, "depth_coefficient": 1.2, "hidden_dim": 1408,
    "in_channels": [32, 8, 16, 24], "out_channels": [8, 16, 24, 320], "kernel_sizes": [3, 5, 3, 5],
    "strides": [1, 2, 2, 1], "num_block_repeats": [1, 2, 1, 1], "expand_ratios": [1, 6, 4, 6],
    "depthwise_padding": [5], "num_labels": CLASSES,
}  # fmt: skip


def save(kind: str, config: Any, folder: Any) -> Any:
    """A network of transformers with random weights, written to `folder`, ready to evaluate."""
    theirs = stir(getattr(transformers, f"{kind}ForImageClassification")(config)).eval()
    theirs.save_pretrained(folder)
    return theirs


def test_transformers_vit(tmp_path):
    theirs = save("ViT", transformers.ViTConfig(**VIT), tmp_path)
    ours = models.ViT.from_pretrained(tmp_path)
    assert ours.config == models.ViTConfig(32, 8, 2, 4, 16, 24, num_classes=CLASSES, eps=1e-12)
    assert not ours.training
    same_logits("ViT, from transformers", ours, theirs, 32)


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
def test_transformers_resnet(kind, tmp_path):
    wide = 4 if kind == "bottleneck" else 1
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8 * wide, 16 * wide], depths=[1, 2], layer_type=kind,
        num_labels=CLASSES,
    )  # fmt: skip
    theirs = stir(transformers.ResNetForImageClassification(config)).eval()
    theirs.save_pretrained(tmp_path)
    ours = models.ResNet.from_pretrained(tmp_path)
    assert ours.config == models.ResNetConfig((1, 2), kind == "bottleneck", CLASSES, width=8)
    same_logits(f"ResNet, {kind}, from transformers", ours, theirs, 40)


@pytest.mark.parametrize(("size", "padding"), [(60, [5]), (64, [])])
def test_transformers_efficientnet(size, padding, tmp_path):
    """At 60 pixels some block halves maps of 15, which transformers' checkpoints name; at 64 none does."""
    given = EFFICIENTNET | {"image_size": size, "depthwise_padding": padding}
    theirs = save("EfficientNet", transformers.EfficientNetConfig(**given), tmp_path)
    ours = models.EfficientNet.from_pretrained(tmp_path)
    assert (ours.config.num_classes, ours.config.same, ours.config.eps) == (CLASSES, True, 1e-3)
    same_logits("EfficientNet, from transformers", ours, theirs, size)


def timm_folder(folder: Any, monkeypatch: Any, **config: Any) -> dict[str, torch.Tensor]:
    """A checkpoint as timm has them on the Hub, of a small network."""
    small = models.ResNetConfig((1, 2, 1, 1), num_classes=CLASSES, width=64)
    monkeypatch.setitem(models.RESNETS, "resnet18", small)
    state = stir(their_resnet(resnet.BasicBlock)).state_dict()
    given = {"architecture": "resnet18", "num_classes": CLASSES, **config}
    (folder / "config.json").write_text(json.dumps(given))
    save_file(state, folder / "model.safetensors")
    return state


def test_timm_s_folder_has_torchvision_s_names(tmp_path, monkeypatch):
    state = timm_folder(tmp_path, monkeypatch)
    ours = models.ResNet.from_pretrained(tmp_path)
    theirs = their_resnet(resnet.BasicBlock).eval()
    theirs.load_state_dict(state)
    x = images(40)
    want = theirs(torch.tensor(x)).detach().numpy()
    pair = Pair("ResNet, from timm", models.ResNet, "torchvision ResNet", "timm on the Hub")
    close(pair, "logits", ours(lmbook.tensor(x)).data, want, 1e-4, "1 + |y|")
    assert not ours.training


def refused(kind: Any, folder: Any, wrong: dict[str, dict[str, torch.Tensor]]) -> None:
    """Each of the states is refused with its message; so are a file cut short and a pickle."""
    file = folder / "model.safetensors"
    state = load_file(file)
    for message, changed in wrong.items():
        save_file(changed, file)
        with pytest.raises(CheckpointError, match=message):
            kind.from_pretrained(folder)
    save_file(state, file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        kind.from_pretrained(folder)
    file.unlink()
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin is a pickle"):
        kind.from_pretrained(folder)


def test_files_that_do_not_fit_a_resnet_are_named(tmp_path, monkeypatch):
    state = timm_folder(tmp_path, monkeypatch)
    wrong = {
        r"missing: fc\.bias": {k: v for k, v in state.items() if k != "fc.bias"},
        r"unknown: extra": state | {"extra": torch.zeros(2)},
        r"of another shape: fc\.bias \(3,\), here \(7,\)": state | {"fc.bias": torch.zeros(3)},
        r"of another type: bn1\.bias int64, here float32": state
        | {"bn1.bias": torch.zeros(64, dtype=torch.int64)},
    }
    refused(models.ResNet, tmp_path, wrong)


def test_files_that_do_not_fit_a_vit_are_named(tmp_path):
    save("ViT", transformers.ViTConfig(**VIT), tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    key = "vit.encoder.layer.1.attention.attention.key.weight"
    without = {n: v for n, v in state.items() if n != key}
    lost = r"unknown: vit\.encoder\.layer\.1\.attention\.attention\.query\.weight, .*value\.weight"
    wrong = {
        rf"{lost}; missing: encoder\.layers\.encoder_layer_1\.self_attention\.in_proj_weight": without,
        r"unknown: vit.*attention\.key\.weight, .*missing.*in_proj_weight": state
        | {key: torch.zeros(8, 16)},
        r"unknown: vit\.encoder\.layer\.1\.attention\.attention\.key\.weight, ": state
        | {key: torch.zeros(16, 16, dtype=torch.int64)},
        r"of another shape: encoder\.pos_embedding \(1, 5, 16\), here \(1, 17, 16\)": state
        | {"vit.embeddings.position_embeddings": torch.zeros(1, 5, 16)},
        r"given twice: class_token \(as ": state | {"class_token": torch.zeros(1, 1, 16)},
    }
    refused(models.ViT, tmp_path, wrong)


def test_files_that_do_not_fit_an_efficientnet_are_named(tmp_path):
    save("EfficientNet", transformers.EfficientNetConfig(**EFFICIENTNET), tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    gate = "efficientnet.encoder.blocks.3.squeeze_excite.reduce.weight"
    wrong = {
        r"missing: features\.2\.1\.block\.2\.fc1\.weight": {
            n: v for n, v in state.items() if n != gate
        },
        r"unknown: efficientnet\.encoder\.blocks\.9\.": state
        | {gate.replace(".3.", ".9."): state[gate].clone()},
        r"of another shape: classifier\.1\.bias \(1000,\), here \(7,\)": state
        | {"classifier.bias": torch.zeros(1000)},
    }
    refused(models.EfficientNet, tmp_path, wrong)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architecture": "resnet26d"}, "architecture is 'resnet26d'"),
        ({"architecture": None, "model_type": "vit"}, "architecture is None"),
    ],
)
def test_other_networks_are_refused(config, message, tmp_path, monkeypatch):
    timm_folder(tmp_path, monkeypatch, **config)
    with pytest.raises(CheckpointError, match=message):
        models.ResNet.from_pretrained(tmp_path)


def test_configurations_of_transformers_that_are_not_computed_are_refused():
    base = transformers.ResNetConfig().to_dict()
    assert models.ResNetConfig.from_hub(base).layers == (3, 4, 6, 3)
    for change, message in (
        ({"downsample_in_bottleneck": True}, "downsample_in_bottleneck is True"),
        ({"hidden_sizes": [256, 512, 1024, 2000]}, "hidden_sizes is"),
        ({"model_type": "vit"}, "model_type 'vit'"),
        ({"depths": [3, 0]}, r"depths is \[3, 0\], no list"),
        ({"depths": None}, "lacks layers"),
        ({"embedding_size": "64"}, "width is '64'"),
    ):
        with pytest.raises(CheckpointError, match=message):
            models.ResNetConfig.from_hub(base | change)


TIMM = {
    "features.0.0": "conv_stem", "features.0.1": "bn1", "features.4.0": "conv_head", "features.4.1": "bn2",
    "classifier.1": "classifier", "features.1.0.block.0.0": "blocks.0.0.conv_dw",
    "features.1.0.block.0.1": "blocks.0.0.bn1", "features.1.0.block.1.fc1": "blocks.0.0.se.conv_reduce",
    "features.1.0.block.1.fc2": "blocks.0.0.se.conv_expand", "features.1.0.block.2.0": "blocks.0.0.conv_pw",
    "features.1.0.block.2.1": "blocks.0.0.bn2",
}  # fmt: skip
WIDE = {
    "0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2", "2.fc1": "se.conv_reduce",
    "2.fc2": "se.conv_expand", "3.0": "conv_pwl", "3.1": "bn3",
}  # fmt: skip


@pytest.mark.parametrize("architecture", ["efficientnet_b0", "tf_efficientnet_b0"])
def test_timm_s_efficientnets(architecture, tmp_path, monkeypatch):
    """Symmetric padding is torchvision's; TensorFlow's is the same on what is padded by hand."""
    small = models.EfficientNetConfig(stages=MBCONV, dropout=0.0, stochastic_depth=0.0)
    monkeypatch.setitem(models.EFFICIENTNETS, "efficientnet_b0", small)
    theirs = stir(their_efficientnet()).eval()
    names = TIMM | {
        f"features.{s}.{i}.block.{ours}": f"blocks.{s - 1}.{i}.{name}"
        for s, i in ((2, 0), (2, 1), (3, 0))
        for ours, name in WIDE.items()
    }
    state = {}
    for name, value in theirs.state_dict().items():
        module, kind = name.rsplit(".", 1)
        state[f"{names[module]}.{kind}"] = value
    save_file(state, tmp_path / "model.safetensors")
    config = {"architecture": architecture, "num_classes": CLASSES}
    (tmp_path / "config.json").write_text(json.dumps(config))
    ours = models.EfficientNet.from_pretrained(tmp_path)
    assert ours.config.same == architecture.startswith("tf_")
    size = 33  # an odd side at every stride: TensorFlow pads alike on both sides there
    for module in theirs.modules():
        if ours.config.same and isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-3
    x = images(size)
    want = theirs(torch.tensor(x)).detach().numpy()
    pair = Pair(
        "EfficientNet, from timm", models.EfficientNet, "torchvision EfficientNet", "timm on the Hub"
    )  # fmt: skip
    close(pair, "logits", ours(lmbook.tensor(x)).data, want, 1e-4, "1 + |y|")
    (tmp_path / "config.json").write_text(json.dumps(config | {"architecture": "efficientnet_l2"}))
    with pytest.raises(CheckpointError, match="architecture is 'efficientnet_l2'"):
        models.EfficientNet.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "deit"}, "model_type 'deit', ViTConfig reads 'vit'"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"qkv_bias": False}, "qkv_bias is False"),
        ({"image_size": 30}, "image_size 30 is no multiple of patch_size 8"),
        ({"num_attention_heads": 3}, "hidden_size 16 is no multiple of num_attention_heads 3"),
        ({"image_size": [32, 32]}, r"image_size is \[32, 32\]"),
        ({"patch_size": None}, "lacks patch_size"),
        ({"id2label": {}}, "id2label is {}, no table of classes"),
    ],
)
def test_other_configurations_of_a_vit_are_refused(change, message):
    base = transformers.ViTConfig(**VIT).to_dict()
    with pytest.raises(CheckpointError, match=message):
        models.ViTConfig.from_hub(base | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "vit"}, "model_type 'vit', EfficientNetConfig reads 'efficientnet'"),
        ({"pooling_type": "max"}, "pooling_type is 'max'"),
        ({"squeeze_expansion_ratio": 0.5}, "squeeze_expansion_ratio is 0.5"),
        ({"depthwise_padding": []}, r"even size and blocks \[5\]"),
        ({"depthwise_padding": 5}, "depthwise_padding 5 does not pad"),
        ({"image_size": 61}, "with image_size 61"),
        ({"kernel_sizes": [3, 5, 3]}, r"kernel_sizes is \[3, 5, 3\], no list"),
        ({"strides": [1, 2, 2, 3]}, "strides is 3"),
        ({"out_channels": [8, 16, 24, 24]}, "a stage keeps its channels"),
        ({"width_coefficient": -1.0}, "width_coefficient is -1.0"),
        ({"batch_norm_momentum": 7}, "batch_norm_momentum is 7"),
        ({"depth_coefficient": None}, "lacks depth"),
    ],
)
def test_other_configurations_of_an_efficientnet_are_refused(change, message):
    base = transformers.EfficientNetConfig(**EFFICIENTNET).to_dict()
    with pytest.raises(CheckpointError, match=message):
        models.EfficientNetConfig.from_hub(base | change)


def test_the_authors_configurations_are_those_published():
    """depthwise_padding as the repositories google/efficientnet-b0 to -b7 have it follows from the sizes."""
    blocks: tuple[list[int], ...] = ([], [16], [5, 8, 16], [5, 18], [6], [13, 27], [31], [18])
    for i, padding in enumerate(blocks):
        want = models.EFFICIENTNETS[f"efficientnet_b{i}"]
        given: dict[str, Any] = {
            "width_coefficient": want.width, "depth_coefficient": want.depth, "dropout_rate": want.dropout,
            "image_size": want.image_size, "depthwise_padding": padding, "num_labels": 1000,
        }  # fmt: skip
        got = models.EfficientNetConfig.from_hub(transformers.EfficientNetConfig(**given).to_dict())
        assert got == replace(want, same=True, eps=1e-3, momentum=got.momentum)
        assert got.momentum == pytest.approx(0.01)
