"""Texts as vectors whose products say how alike they are in meaning (Reimers and Gurevych 2019).

Shapes: N texts, T tokens of the longest, E width.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lmbook.autograd import Tensor, no_grad
from lmbook.backend import CheckpointError
from lmbook.data import WordPieceTokenizer
from lmbook.models.bert import BertConfig, BertModel
from lmbook.models.hub import download
from lmbook.models.pretrained import Checkpoint, fill, read_json
from lmbook.nn.init import shapes_only


class SentenceEncoder:
    """A BERT with mean pooling: `encode` gives vectors of length 1, so that `a @ b.T` are cosines.

    >>> encoder = SentenceEncoder.from_pretrained(data.minilm())
    >>> a, b = encoder.encode(["A cat sat on the mat.", "There was a cat on the rug."])
    """

    def __init__(
        self, model: BertModel, tokenizer: WordPieceTokenizer, max_length: int = 256
    ) -> None:
        self.model, self.tokenizer, self.max_length = model, tokenizer, max_length

    @classmethod
    def from_pretrained(
        cls, name_or_folder: str | Path, revision: str | None = None
    ) -> "SentenceEncoder":
        """The encoder of a folder, or of a name on the Hub, with config.json, model.safetensors, vocab.txt.

        Errors are those of `PretrainedModule.from_pretrained`.
        """
        folder = Path(name_or_folder)
        if not folder.is_dir():
            extra = ("vocab.txt", "sentence_bert_config.json")
            folder = download(str(name_or_folder), revision, extra)
        with shapes_only():
            model = BertModel(BertConfig.from_hub(read_json(folder / "config.json")))
        fill(model, Checkpoint(folder), BertModel.names)
        if not (folder / "vocab.txt").is_file():
            raise FileNotFoundError(
                f"SentenceEncoder: {folder} has no vocab.txt; only WordPiece is read"
            )
        tokenizer = WordPieceTokenizer.load(folder / "vocab.txt")
        if len(tokenizer) != model.config.vocab_size:
            raise CheckpointError(
                f"checkpoint {folder}: vocab.txt has {len(tokenizer)} tokens, the model "
                f"{model.config.vocab_size}; take both from one checkpoint"
            )
        limits = folder / "sentence_bert_config.json"
        longest = read_json(limits).get("max_seq_length") if limits.is_file() else None
        return cls(model, tokenizer, longest or model.config.max_position_embeddings)

    def encode(self, texts: Sequence[str], batch_size: int = 32) -> np.ndarray:
        """Texts -> vectors of length 1, float32 (N, E). A text longer than `max_length` tokens is cut."""
        if isinstance(texts, str):
            raise TypeError("SentenceEncoder.encode: give a list of texts, not one string")
        rows = [self._tokens(text) for text in texts]
        out = np.zeros((len(rows), self.model.config.hidden_size), np.float32)
        order = np.argsort([len(row) for row in rows], kind="stable")  # little padding in a batch
        was_training = self.model.training
        self.model.eval()
        with no_grad():
            for start in range(0, len(rows), batch_size):
                chosen = order[start : start + batch_size]
                out[chosen] = self._mean([rows[i] for i in chosen])
        self.model.train(was_training)
        return out

    def _tokens(self, text: str) -> np.ndarray:
        """[CLS] text [SEP]."""
        first, last = (self.tokenizer.special[name] for name in ("[CLS]", "[SEP]"))
        return np.array([first, *self.tokenizer.encode(text)[: self.max_length - 2], last])

    def _mean(self, rows: list[np.ndarray]) -> np.ndarray:
        """The mean of each text's vectors, padding left out, divided by its length."""
        index = np.full((len(rows), max(map(len, rows))), self.tokenizer.special["[PAD]"])
        mask = np.zeros(index.shape, np.float32)
        for i, row in enumerate(rows):
            index[i, : len(row)], mask[i, : len(row)] = row, 1
        hidden = self.model(Tensor(index), attention_mask=mask).data  # (N, T, E)
        mean = np.einsum("nte,nt->ne", hidden, mask) / mask.sum(axis=1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)
