"""Level 1: data sets with their cards, tokenizers, batches, and baselines to beat.

Everything here gives NumPy arrays, strings and lists; the trainer makes tensors of them.
"""

from lmbook.data.cache import cache_dir
from lmbook.data.cards import Archive, Baseline, Bundled, DataSet
from lmbook.data.catalogue import registry
from lmbook.data.collate import BucketSampler, PairBatch, PairCollate, pad_sequences
from lmbook.data.dataset import DataLoader, TensorDataset, default_collate
from lmbook.data.errors import DataError, UnknownDataset, UnknownToken
from lmbook.data.job_shops import JobShopInstance, job_shop, job_shop_names
from lmbook.data.mnist import Images, mnist_5k
from lmbook.data.near_duplicates import near_duplicate_groups
from lmbook.data.nearest import TranslationMemory, bleu
from lmbook.data.ngram import NGram
from lmbook.data.pip_client import fetch
from lmbook.data.reference import Text, language_reference
from lmbook.data.sequences import EvaluationLoader, StreamLoader, WindowLoader
from lmbook.data.splits import Splits
from lmbook.data.tokenizers import BPETokenizer, CharTokenizer, Tokenizer
from lmbook.data.transforms import normalise, one_hot, random_shift
from lmbook.data.translations import Pair, translations

__all__ = [
    "Archive", "BPETokenizer", "Baseline", "BucketSampler", "Bundled", "CharTokenizer",
    "DataError", "DataLoader", "DataSet", "EvaluationLoader", "Images", "JobShopInstance",
    "NGram", "Pair", "PairBatch", "PairCollate", "Splits", "StreamLoader", "TensorDataset",
    "Text", "Tokenizer", "TranslationMemory", "UnknownDataset", "UnknownToken", "WindowLoader",
    "bleu", "cache_dir", "default_collate", "fetch", "job_shop", "job_shop_names",
    "language_reference", "mnist_5k", "near_duplicate_groups", "normalise", "one_hot",
    "pad_sequences", "random_shift", "registry", "translations",
]  # fmt: skip
