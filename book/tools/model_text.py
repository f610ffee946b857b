"""The sentences of the page of models, book/models.md."""

from __future__ import annotations

CITED = r"\b(brown2020|lecun1998|krizhevsky2012|baevski2020|he2017ncf|deepseek2024)\b"
TITLES = {
    "language": "Language", "vision": "Vision", "audio": "Audio", "recommendation": "Recommendation",
    "sentences": "Sentence encoder",
}  # fmt: skip
LEADS = {
    "language": "BERT {cite}`devlin2019`, GPT-2 {cite}`radford2019`, GPT-3 {cite}`brown2020`, T5 "
    "{cite}`raffel2020`, Llama {cite}`touvron2023,touvron2023llama2,dubey2024`, Mixtral {cite}`jiang2024`, "
    "Mistral, Qwen, and DeepSeek {cite}`deepseek2024`. BERT's count is that of the model for pre-training, "
    "with both heads. Two numbers of GPT-3's table do not fit together: its XL has 24 heads of 128 in a "
    "width of 2,048, and its 13B a width of 5,140 for 40 heads of 128. Ours have 16 heads, and 5,120.",
    "vision": "LeNet {cite}`lecun1998`, AlexNet {cite}`krizhevsky2012`, VGG, ResNet {cite}`he2016`, "
    "EfficientNet {cite}`tan2019` and the vision Transformer {cite}`dosovitskiy2021`. For torchvision's "
    "networks the names and shapes of all arrays are compared, too, and so they are for the lite networks 1 "
    "to 4.",
    "audio": "WaveNet {cite}`vandenoord2016` and wav2vec 2.0 {cite}`baevski2020`, of which the names and "
    "shapes of all parameters are compared, too. WaveNet's size is the default of the class.",
    "recommendation": "Neural collaborative filtering {cite}`he2017ncf`. Other models of this kind "
    "have no size of their own: the table of features sets it.",
    "sentences": "MiniLM {cite}`wang2020minilm`, trained further for sentences {cite}`reimers2019`.",
}

PAGE = """\
(models)=
# Models

[模型与对照]{{.subtitle lang=zh}}

Every model of the book, and how it was proven. {sizes} sizes in {families} families, most of them
published, are built as shapes alone, which takes no memory, and their parameters are counted: the
largest has {largest}. Then {models} models and variants are held against other programs, number by
number, {values} values in all, most with random weights and some with trained ones. Last comes what
loading costs in memory.

The tests in `tests/models` make these comparisons, each with a limit of its own, and note what they
find. `python -m book.tools.models` runs them and writes the registers `book/facts/models_*.csv` and
this page; nothing in the tables is written by hand. {{ref}}`parity` has the single operations and
layers.

## Sizes

*Held against* says where the other count comes from: the model that transformers or torchvision builds
of the same sizes, also without memory; a sum over the layers that a paper describes; or a figure that
is printed rounded, with the largest difference that the test allows. *Pinned* means that the count also
stands as a number in the test, so that a change of the library would be noticed. The small type below a
name links the class and the section that builds it.

{size_tables}

## The same numbers

A model of the other library gets random weights, in most tests also where weights begin as zeros or
ones. It is saved in safetensors format, under the names of its public checkpoints; ours reads that file
(*names* says whose names they are) and gets the same inputs. These models are small, so that every part
can be compared in seconds; ResNet-50 is there as a whole. Where there are no *names*, weights are
handed over as arrays, and the other side is a few layers of PyTorch, another model of ours, or a
definition written out.

Each number is a bound on the largest difference of all values, in the type at the head of the column:
the next power of ten above four times what was measured, since the last digits depend on a machine's
libraries; but no more than the limit of the test, which stands below it, and no less than
10{{sup}}`−15` in float64 and 10{{sup}}`−7` in float32. A difference is taken as it is, or over what the
small type names, $y$ being the reference's value; a maximum is over the array that the value belongs
to. Gradients are those of all parameters.

With random weights no difference is above {worst32} in float32, and none above {worst64} in float64. In
float64 most models agree to rounding. T5, Llama and its relatives, and DeepSeek do not, because
transformers computes their norms, angles or routers in float32, whatever the type of the model; and so
it does with the cosines in wav2vec 2.0's loss.

LeNet and the masked autoencoder are in none of these libraries; of WaveNet, AutoInt and DeepFM the
parts below are compared. Finite differences check the gradients of all of these but LeNet, whose layers
are on {{ref}}`the page of operations <parity>`.

{number_tables}

## Trained weights

MiniLM's vectors of ten texts, among them Chinese, an empty one and one that is too long, are computed
twice, by batches of 32 and of 3, and compared with transformers', whose tokens come from the library
tokenizers. EfficientNet-lite0's logits of four photographs are compared with those of the package that
the weights were made for.

{trained}

## Memory

A file of float32 weights is mapped, so a parameter takes memory when it is first touched. A fresh
process loads a file and runs the model once. The peak of its memory up to a step, less what it held
before, is divided by the weights' size in float32. A file in 16 bits is widened as it is read. *At
most* is the next tenth above what was measured, *limit* what the test allows.

{memory}
"""
