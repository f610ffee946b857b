"""Level 1: data sets with their cards, tokenizers, batches, and baselines to beat.

Everything here gives NumPy arrays, strings and lists; the trainer makes tensors of them.
"""

from lmbook.data.audio import (
    log_mel,
    mel_filters,
    mu_law_decode,
    mu_law_encode,
    read_wav,
    resample,
    spectrogram,
)
from lmbook.data.augment import (
    brightness,
    cutout,
    mixup,
    random_crop,
    random_flip,
    random_rotation,
    rotate,
)
from lmbook.data.cache import cache_dir
from lmbook.data.cards import Archive, Baseline, Bundled, DataSet
from lmbook.data.catalogue import registry
from lmbook.data.cleaning import (
    QualityFilter,
    drop_boilerplate,
    keep_sentences,
    normalise_text,
    sift,
    statistics_of,
)
from lmbook.data.collate import BucketSampler, PairBatch, PairCollate, pad_sequences
from lmbook.data.dataset import DataLoader, TensorDataset, default_collate
from lmbook.data.errors import DataError, UnknownDataset, UnknownToken
from lmbook.data.job_shops import JobShopInstance, job_shop, job_shop_names
from lmbook.data.minhash import (
    MinHash,
    candidate_pairs,
    collision_probability,
    deduplicate,
    exact_duplicates,
    jaccard,
    shingles,
)
from lmbook.data.minilm import minilm
from lmbook.data.mnist import Images, mnist_5k
from lmbook.data.movielens import (
    Features,
    MovieLens,
    Ratings,
    leave_one_out,
    movielens_100k,
    pair_features,
    random_split,
    time_split,
)
from lmbook.data.near_duplicates import near_duplicate_groups
from lmbook.data.nearest import TranslationMemory, bleu
from lmbook.data.ngram import NGram
from lmbook.data.nhefs import Table, nhefs, nhefs_columns
from lmbook.data.objectives import corrupt_spans, mask_tokens
from lmbook.data.pictures import efficientnet_lite0, imagenet_names, open_picture, photographs
from lmbook.data.pip_client import fetch
from lmbook.data.reference import Text, language_reference
from lmbook.data.scaling import MinMaxScaler, StandardScaler, condition_number
from lmbook.data.sequences import EvaluationLoader, StreamLoader, WindowLoader
from lmbook.data.sharded_loader import ShardedLoader
from lmbook.data.shards import Shards, write_shards
from lmbook.data.skipgram import SkipGram
from lmbook.data.solar import Cells, solar_cells
from lmbook.data.speech import Utterances, recorded_speech, spoken_digits, synthesise
from lmbook.data.splits import Splits
from lmbook.data.stata import read_stata
from lmbook.data.tokenizers import (
    BPETokenizer,
    ByteLevelBPE,
    CharTokenizer,
    Tokenizer,
    WordPieceTokenizer,
)
from lmbook.data.torch_files import read_torch
from lmbook.data.transforms import normalise, one_hot, random_shift
from lmbook.data.translations import Pair, translations
from lmbook.data.vectorise import CountVectorizer, Sparse, TfidfVectorizer

__all__ = [
    "Archive", "BPETokenizer", "Baseline", "BucketSampler", "Bundled", "ByteLevelBPE", "Cells",
    "CharTokenizer", "CountVectorizer", "DataError", "DataLoader", "DataSet", "EvaluationLoader",
    "Features", "Images", "JobShopInstance", "MinHash", "MinMaxScaler", "MovieLens", "NGram",
    "Pair", "PairBatch", "PairCollate", "QualityFilter", "Ratings", "ShardedLoader", "Shards",
    "SkipGram", "Sparse", "Splits", "StandardScaler", "StreamLoader", "Table", "TensorDataset",
    "Text", "TfidfVectorizer", "Tokenizer", "TranslationMemory", "UnknownDataset", "UnknownToken",
    "Utterances", "WindowLoader", "WordPieceTokenizer", "bleu", "brightness", "cache_dir",
    "candidate_pairs", "collision_probability", "condition_number", "corrupt_spans",
    "cutout", "deduplicate",
    "default_collate", "drop_boilerplate", "efficientnet_lite0", "exact_duplicates", "fetch",
    "imagenet_names", "jaccard", "job_shop", "job_shop_names", "keep_sentences",
    "language_reference", "leave_one_out", "log_mel", "mask_tokens",
    "mel_filters", "minilm", "mixup", "mnist_5k",
    "movielens_100k", "mu_law_decode", "mu_law_encode", "near_duplicate_groups", "nhefs",
    "nhefs_columns", "normalise", "normalise_text", "one_hot", "open_picture", "pad_sequences",
    "pair_features", "photographs", "random_crop", "random_flip", "random_rotation", "random_shift",
    "random_split", "read_stata", "read_torch", "read_wav", "recorded_speech", "registry",
    "resample", "rotate", "shingles", "sift", "solar_cells", "spectrogram", "spoken_digits",
    "statistics_of", "synthesise", "time_split", "translations", "write_shards",
]  # fmt: skip
