"""The Transformer of 2017: an encoder reads the source, a decoder writes the target.

Shapes: N batch, S source length, T target length, E width, V vocabulary.
Source: Vaswani et al. 2017, with the norm before each step (Xiong et al. 2020).
"""

import math
from dataclasses import dataclass

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor, no_grad
from lmbook.backend import host


@dataclass
class TransformerConfig:
    """Sizes; the defaults are the paper's base model."""

    vocab_size: int = 37000
    d_model: int = 512
    nhead: int = 8
    num_encoder_layers: int = 6
    num_decoder_layers: int = 6
    dim_feedforward: int = 2048
    dropout: float = 0.1
    max_length: int = 512
    padding: int = 0
    norm_first: bool = True


class Transformer(nn.Module):
    """Token numbers of source and target in, logits of the next target token out.

    One table of vectors serves source, target and output (Press and Wolf 2017).
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = c = config
        self.embedding = nn.Embedding(c.vocab_size, c.d_model)
        nn.init.normal_(self.embedding.weight, std=c.d_model**-0.5)
        self.position = nn.SinusoidalPositionalEncoding(c.d_model, c.max_length)
        self.dropout = nn.Dropout(c.dropout)
        options = {"batch_first": True, "norm_first": c.norm_first}
        sizes = (c.d_model, c.nhead, c.dim_feedforward, c.dropout)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(*sizes, **options),
            c.num_encoder_layers,
            nn.LayerNorm(c.d_model) if c.norm_first else None,
        )
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(*sizes, **options),
            c.num_decoder_layers,
            nn.LayerNorm(c.d_model) if c.norm_first else None,
        )
        for stack in (self.encoder, self.decoder):  # the copies in a stack start alike: draw anew
            for p in stack.parameters():
                if p.ndim == 2:
                    nn.init.xavier_uniform_(p)

    def embed(self, index: Tensor, offset: int = 0) -> Tensor:
        """(N, T) -> (N, T, E): scaled token vectors plus positions."""
        x = self.embedding(index) * math.sqrt(self.config.d_model)
        return self.dropout(self.position(x, offset))

    def encode(self, source: Tensor) -> tuple[Tensor, np.ndarray]:
        """(N, S) -> one vector for each source token (N, S, E), and where the padding is (N, S)."""
        padding = source.data == self.config.padding
        return self.encoder(self.embed(source), src_key_padding_mask=padding), padding

    def decode(self, target: Tensor, memory: Tensor, padding: np.ndarray) -> Tensor:
        """(N, T) and the encoder's output -> logits (N, T, V)."""
        x = self.decoder(
            self.embed(target), memory, tgt_is_causal=True, memory_key_padding_mask=padding
        )
        return F.linear(x, self.embedding.weight)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits for the token after each of the target's."""
        return self.decode(target, *self.encode(source))

    def translate(
        self, source: np.ndarray, start: int, stop: int, max_length: int = 50, beam: int = 1
    ) -> list[list[int]]:
        """Token numbers of the best translation found for each row of `source` (N, S).

        Beam search with `beam` candidates (1 is greedy), ranked by mean log-probability per token.
        """
        was_training = self.training
        self.eval()
        with no_grad():
            memory, padding = self.encode(Tensor(source))
            memory = Tensor(np.repeat(memory.data, beam, axis=0))
            padding = np.repeat(padding, beam, axis=0)
            best = self._search(memory, padding, len(source), start, stop, max_length, beam)
        self.train(was_training)
        return best

    def _search(
        self,
        memory: Tensor,
        padding: np.ndarray,
        n: int,
        start: int,
        stop: int,
        max_length: int,
        beam: int,
    ) -> list[list[int]]:
        tokens = np.full((n * beam, 1), start)
        score = np.where(np.arange(n * beam) % beam == 0, 0.0, -np.inf)  # beams start as one
        lengths, done = np.zeros(n * beam), np.zeros(n * beam, bool)
        for _ in range(max_length):
            logits = host(self.decode(Tensor(tokens), memory, padding).data[:, -1])
            logits = logits.astype(np.float64)  # the search goes on on the host
            step = logits - logits.max(axis=1, keepdims=True)
            step -= np.log(np.exp(step).sum(axis=1, keepdims=True))
            step[done] = -np.inf
            step[done, stop] = 0.0  # a finished candidate stays as it is
            total = (score[:, None] + step).reshape(n, -1)
            length = np.repeat((lengths + ~done)[:, None], step.shape[1], axis=1).reshape(n, -1)
            pick = np.argsort(-total / np.maximum(length, 1), axis=1, kind="stable")[:, :beam]
            parent = (pick // step.shape[1] + np.arange(n)[:, None] * beam).reshape(-1)
            token = (pick % step.shape[1]).reshape(-1)
            tokens = np.concatenate([tokens[parent], token[:, None]], axis=1)
            score = np.take_along_axis(total, pick, axis=1).reshape(-1)
            lengths = lengths[parent] + ~done[parent]
            done = done[parent] | (token == stop)
            if done.all():
                break
        rows = tokens[
            np.argmax((score / np.maximum(lengths, 1)).reshape(n, beam), axis=1)
            + np.arange(n) * beam,
            1:,
        ]
        ends = [int(np.argmax(row == stop)) if (row == stop).any() else len(row) for row in rows]
        return [[int(t) for t in row[:end]] for row, end in zip(rows, ends, strict=True)]
