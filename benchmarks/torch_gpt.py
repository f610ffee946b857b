"""GPT in PyTorch, with the names and the order of operations of `lmbook.models.gpt`."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Cache = list[tuple[Tensor, Tensor]]


class Attention(nn.Module):
    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, cache: tuple[Tensor, Tensor] | None, start: int) -> Tensor:
        n, t, e = x.shape
        q, k, v = (
            part.view(n, t, self.heads, e // self.heads).transpose(1, 2)
            for part in self.c_attn(x).split(e, dim=2)
        )
        if cache is not None:
            keys, values = cache
            keys[:, :, start : start + t], values[:, :, start : start + t] = k, v
            k, v = keys[:, :, : start + t], values[:, :, : start + t]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=t > 1)
        return self.c_proj(y.transpose(1, 2).reshape(n, t, e))


class MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width), Attention(heads, width)
        self.ln_2, self.mlp = nn.LayerNorm(width), MLP(width)

    def forward(self, x: Tensor, cache: tuple[Tensor, Tensor] | None, start: int) -> Tensor:
        x = x + self.attn(self.ln_1(x), cache, start)
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, vocabulary: int, length: int, layers: int, heads: int, width: int) -> None:
        super().__init__()
        self.heads, self.width, self.length = heads, width, length
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.h = nn.ModuleList(Block(heads, width) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, index: Tensor, cache: Cache | None = None, start: int = 0) -> Tensor:
        x = self.wte(index) + self.wpe.weight[start : start + index.shape[1]]
        for i, block in enumerate(self.h):
            x = block(x, None if cache is None else cache[i], start)
        return F.linear(self.ln_f(x), self.wte.weight)

    @torch.inference_mode()
    def generate(self, index: Tensor, new: int) -> Tensor:
        """Continue by the likeliest tokens, with a cache of keys and values."""
        shape = (len(index), self.heads, self.length, self.width // self.heads)
        cache = [(torch.zeros(shape), torch.zeros(shape)) for _ in self.h]
        fresh, start = index, 0
        for _ in range(new):
            logits = self(fresh, cache, start)[:, -1]
            start += fresh.shape[1]
            fresh = logits.argmax(dim=1, keepdim=True)
            index = torch.cat([index, fresh], dim=1)
        return index
