"""Our tokenizers beside the library `tokenizers`, in Rust: `python -m benchmarks.tokenizers`.

Both learn the same vocabulary from the Python language reference and encode its test part; the ids
are compared before a time is printed. Each ratio is our best time over the library's best.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from lmbook import data
from lmbook.backend import require
from lmbook.data.tokenizers.wordpiece import SPECIAL

LIMIT = 10.0  # the promise: no slower than this many times the library's time


def best(run: Callable[[], Any], rounds: int) -> float:
    """The least of `rounds` times, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def library_bpe(text: str, size: int) -> Any:
    """A byte-level BPE of the library, trained."""
    hf = require("tokenizers", "notebooks", "the benchmark of tokenizers")
    tokenizer = hf.Tokenizer(hf.models.BPE())
    tokenizer.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = hf.pre_tokenizers.ByteLevel.alphabet()
    trainer = hf.trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def library_wordpiece(text: str, size: int) -> Any:
    """A WordPiece tokenizer of the library, trained."""
    hf = require("tokenizers", "notebooks", "the benchmark of tokenizers")
    tokenizer = hf.Tokenizer(hf.models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = hf.normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = hf.pre_tokenizers.BertPreTokenizer()
    trainer = hf.trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=2, special_tokens=list(SPECIAL), show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def rows(size: int, rounds: int) -> list[dict[str, Any]]:
    """One row a tokenizer and task: times in seconds and their ratio."""
    reference = data.language_reference()
    train, test = reference.train, reference.test
    theirs = {"ByteLevelBPE": library_bpe(train, size)}
    theirs["WordPieceTokenizer"] = library_wordpiece(train, size)
    vocab = theirs["WordPieceTokenizer"].get_vocab()
    alphabet = [t for t in sorted(vocab, key=vocab.get) if t.startswith("##") and len(t) == 3]
    makers: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "ByteLevelBPE": (
            lambda: data.ByteLevelBPE.train(train, size),
            lambda: library_bpe(train, size),
        ),
        "WordPieceTokenizer": (
            lambda: data.WordPieceTokenizer.train(train, size, alphabet=alphabet),
            lambda: library_wordpiece(train, size),
        ),
    }
    out = []
    for name, (make, make_theirs) in makers.items():
        ours, other = make(), theirs[name]
        ids = ours.encode(test).tolist()
        if (
            ids != other.encode(test, add_special_tokens=False).ids
            or ours.vocab != other.get_vocab()
        ):
            raise RuntimeError(f"{name}: the ids are not the library's; no time is worth printing")

        def encode(ours: Any = ours) -> None:
            ours._known.clear()  # a text never seen before
            ours.encode(test)

        def encode_theirs(other: Any = other) -> None:
            other.encode(test, add_special_tokens=False)

        def encode_many(ours: Any = ours) -> None:
            ours._known.clear()
            for _ in range(8):
                ours.encode(test)

        def encode_many_theirs(other: Any = other) -> None:
            other.encode_batch([test] * 8, add_special_tokens=False)

        for task, a, b in (
            ("train", make, make_theirs),
            ("encode", encode, encode_theirs),
            ("encode a batch of 8", encode_many, encode_many_theirs),
        ):
            mine, library = best(a, rounds), best(b, rounds)
            out.append(
                {"tokenizer": name, "task": task, "ours": mine, "library": library,
                 "ratio": mine / library}
            )  # fmt: skip
    return out


def main() -> int:
    """Measure and print; exit code 1 where a ratio is over the limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tokenizers", description=__doc__)
    parser.add_argument("--size", type=int, default=2000, help="tokens of each vocabulary")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    found = rows(arguments.size, arguments.rounds)
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        print(f"{'tokenizer':20}{'task':22}{'ours/library':>13}")
        for row in found:
            print(f"{row['tokenizer']:20}{row['task']:22}{row['ratio']:13.1f}")
    return int(any(row["ratio"] > LIMIT for row in found))


if __name__ == "__main__":
    sys.exit(main())
