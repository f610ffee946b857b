"""A program that continues texts: prompt to tokens, tokens one at a time, and text as it becomes whole.

Section B.1. The model is any GPT with a byte-level tokenizer: the small one of `small_writer`, or GPT-2's own
weights by name or folder.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lmbook.autograd import Tensor, no_grad
from lmbook.backend import CheckpointError, host
from lmbook.data import DataError
from lmbook.data.tokenizers import ByteLevelBPE, TextStream
from lmbook.models import GPT, Sampling, beam_search, probabilities, stream
from lmbook.models.hub import download
from lmbook.models.pretrained import read_json

MOST = 100_000  # characters of a prompt
FILES = ("tokenizer.json", "vocab.json", "merges.txt")


class PromptError(ValueError):
    """A prompt that cannot be continued."""


class Writer:
    """A model and its tokenizer.

    Raises `CheckpointError` if the tokenizer has tokens that the model does not know.
    """

    def __init__(self, model: GPT, tokenizer: ByteLevelBPE, name: str) -> None:
        size, most = model.config.vocab_size, max(tokenizer.vocab.values())
        if most >= size:
            raise CheckpointError(
                f"{name}: the tokenizer has a token {most}, the model only {size} tokens; the two do not "
                "belong together"
            )
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.stop = tokenizer.special.get("<|endoftext|>")
        model.eval()

    @classmethod
    def from_pretrained(cls, name_or_folder: str | Path) -> "Writer":
        """GPT-2's weights: a name on the Hub such as "openai-community/gpt2", or a folder laid out as there.

        Raises `FileNotFoundError`, `HubError`, or `CheckpointError` for what is damaged or of another model.
        """
        folder = Path(name_or_folder)
        if not folder.is_dir():
            folder = download(str(name_or_folder), None, FILES)
        return cls(GPT.from_pretrained(folder), load_tokenizer(folder), str(name_or_folder))

    @property
    def context(self) -> int:
        """Tokens that the model sees at most."""
        return self.model.config.block_size

    def encode(self, prompt: str) -> np.ndarray:
        """The prompt's tokens (1, T). Raises `PromptError` for an empty or an enormous one."""
        if not prompt.strip():
            raise PromptError("the prompt is empty; write the start of a text")
        if len(prompt) > MOST:
            raise PromptError(
                f"the prompt has {len(prompt):,} characters, {MOST:,} are the most; the model sees only "
                f"the last {self.context:,} tokens"
            )
        return self.tokenizer.encode(prompt)[None]

    def write(
        self, prompt: str, tokens: int = 100, how: Sampling | None = None, seed: int = 0
    ) -> Iterator[str]:
        """Pieces of text that continue the prompt, as they come; ends early where the text does."""
        index = self.encode(prompt)
        text = TextStream(self.tokenizer)
        for (token,) in stream(self.model, index, tokens, how, np.random.default_rng(seed)):
            if token == self.stop:
                break
            yield text.feed(token)
        yield text.finish()

    def search(self, prompt: str, tokens: int = 100, num_beams: int = 4) -> str:
        """The continuation that beam search finds; a long prompt is cut to what leaves it room."""
        tokens = min(tokens, self.context - 1)
        index = self.encode(prompt)[:, -(self.context - tokens) :]
        rows, _ = beam_search(self.model, index, tokens, num_beams, stop=self.stop)
        return self.tokenizer.decode(rows[0, index.shape[1] :])

    def next_tokens(
        self, prompt: str, how: Sampling, most: int = 10
    ) -> list[tuple[str, float, float]]:
        """The likeliest next tokens: text, the model's own probability, and that which is drawn from."""
        index = self.encode(prompt)
        logits = self.logits(index)
        own, drawn = (probabilities(logits, h, index)[0] for h in (Sampling(), how))
        best = np.argsort(-own, kind="stable")[:most]
        return [(self.tokenizer.decode([i]), float(own[i]), float(drawn[i])) for i in best]

    def logits(self, index: np.ndarray) -> np.ndarray:
        """Logits (N, V) of the token after index (N, T)."""
        with no_grad():
            return host(self.model(Tensor(index[:, -self.context :])).data[:, -1])


def load_tokenizer(folder: Path) -> ByteLevelBPE:
    """tokenizer.json of a folder, or the older vocab.json with merges.txt.

    Raises `CheckpointError` if they are missing or damaged.
    """
    try:
        if (folder / FILES[0]).is_file():
            return ByteLevelBPE.load(folder / FILES[0])
        vocab = read_json(folder / FILES[1])
        lines = (folder / FILES[2]).read_text(encoding="utf-8").splitlines()
        pairs: Any = [tuple(line.split()) for line in lines if line and line[:8] != "#version"]
        return ByteLevelBPE(vocab, pairs, [t for t in ("<|endoftext|>",) if t in vocab])
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder}: no tokenizer is there, neither {FILES[0]} nor {FILES[1]} with {FILES[2]}"
        ) from None
    except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{folder}: its tokenizer cannot be read ({error}); get it again"
        ) from None
