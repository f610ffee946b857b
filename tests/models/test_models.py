"""Whole models: sizes that were published, causality, caches, and PyTorch's own Transformer."""

import numpy as np
import pytest
import torch
from proofs import Pair, close

import lmbook
from lmbook import models
from lmbook.backend import ShapeError, host
from lmbook.models.llama import parameter_count
from lmbook.nn.init import shapes_only


def small_gpt() -> models.GPT:
    lmbook.manual_seed(0)
    return models.GPT(models.GPTConfig(50, 16, n_layer=2, n_head=2, n_embd=16)).double()


def small_llama(kv_heads: int = 1, experts: int = 0) -> models.Llama:
    lmbook.manual_seed(0)
    config = models.LlamaConfig(50, 16, 40, 2, 4, kv_heads, 16, num_experts=experts)
    return models.Llama(config)


def gpt_of_experts() -> models.GPT:
    lmbook.manual_seed(0)
    return models.GPT(
        models.GPTConfig(50, 16, 2, 2, 16, num_experts=4, moe_intermediate_size=8)
    ).double()


MODELS = {
    "gpt": small_gpt, "llama": small_llama, "mixture": lambda: small_llama(2, 4),
    "gpt of experts": gpt_of_experts,
}  # fmt: skip


def test_a_gpt_of_experts_has_their_parameters_and_their_balance():
    model, plain = gpt_of_experts(), small_gpt()
    mlp = sum(p.numel() for p in plain.h[0].mlp.parameters())
    more = 4 * 3 * 16 * 8 + 4 * 16 - mlp
    count = [sum(p.numel() for p in m.parameters()) for m in (model, plain)]
    assert count[0] == count[1] + 2 * more
    with pytest.raises(ValueError, match="no mixture of experts, or has not run"):
        plain.balance_loss()
    model(lmbook.tensor(np.zeros((1, 4), int)))
    layers = [b.mlp.balance_loss.item() for b in model.h]
    assert model.balance_loss().item() == pytest.approx(sum(layers)) and min(layers) > 0


def test_published_sizes():
    """GPT-2 small has 124,439,808 parameters, Llama 2 7B 6,738,415,616 (their checkpoints)."""
    with shapes_only():
        gpt = models.GPT(models.GPTConfig())
        llama = models.Llama(models.LlamaConfig())
    assert sum(p.numel() for p in gpt.parameters()) == 124_439_808
    assert sum(p.numel() for p in llama.parameters()) == 6_738_415_616
    assert parameter_count(models.LlamaConfig()) == 6_738_415_616


@pytest.mark.parametrize("name", MODELS)
def test_the_future_is_not_seen(name):
    model = MODELS[name]().eval()
    index = np.random.default_rng(0).integers(0, 50, (2, 9))
    changed = index.copy()
    changed[:, 6:] = (changed[:, 6:] + 1) % 50
    a, b = (host(model(lmbook.tensor(i)).data) for i in (index, changed))
    np.testing.assert_allclose(a[:, :6], b[:, :6], atol=1e-6)
    assert np.abs(a[:, 6:] - b[:, 6:]).max() > 1e-3


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("pieces", [[9], [1] * 9, [4, 1, 3, 1], [2, 7]])
def test_a_cache_changes_nothing(name, pieces):
    model = MODELS[name]().eval()
    index = np.random.default_rng(0).integers(0, 50, (3, 9))
    want = host(model(lmbook.tensor(index)).data)
    cache, start, got = model.new_cache(3), 0, []
    for n in pieces:
        got.append(host(model(lmbook.tensor(index[:, start : start + n]), cache).data))
        start += n
    np.testing.assert_allclose(np.concatenate(got, axis=1), want, atol=2e-5)
    assert cache.length == 9


@pytest.mark.parametrize("name", ["gpt", "llama"])
def test_generation_with_and_without_a_cache(name):
    model = MODELS[name]()
    start = np.array([[3, 1], [4, 1]])
    runs = [
        model.generate(start, 10, generator=np.random.default_rng(1), use_cache=cached)
        for cached in (True, False)
    ]
    np.testing.assert_array_equal(*runs)
    assert runs[0].shape == (2, 12) and model.training
    greedy = model.generate(start, 4, temperature=0)
    np.testing.assert_array_equal(greedy, model.generate(start, 4, top_k=1))
    assert model.generate(start, 30, temperature=0).shape == (2, 32)  # longer than the block


def test_grouped_queries_shrink_the_cache():
    sizes = [small_llama(kv_heads).new_cache(1).nbytes for kv_heads in (1, 2, 4)]
    assert sizes[1] == 2 * sizes[0] and sizes[2] == 4 * sizes[0]


@pytest.mark.parametrize("name", ["gpt", "llama"])
def test_too_long_an_input_is_named(name):
    with pytest.raises(ShapeError, match="17 positions"):
        MODELS[name]()(lmbook.zeros(1, 17).long())


def test_an_empty_prompt_and_a_full_cache_are_named():
    model = small_gpt()
    for prompt in (np.zeros((1, 0), int), np.zeros(3, int), np.zeros((0, 2), int)):
        with pytest.raises(
            ShapeError, match=r"generate: the prompt .* one token at least, got shape"
        ):
            model.generate(prompt, 3)
    with pytest.raises(ShapeError, match=r"T5.generate: the prompt"):
        models.T5(models.T5Config(20, 16, 4, 32, 1, num_heads=2)).generate(np.zeros((1, 0), int))
    cache = model.new_cache(1, 4)
    assert cache.capacity == 4 and cache.keys.dtype == np.float64
    with pytest.raises(ShapeError, match="KVCache: 5 positions, but room for 4"):
        model(lmbook.zeros(1, 5).long(), cache)


def test_sampling_follows_the_distribution():
    logits = np.log(np.array([[0.1, 0.6, 0.3]])).repeat(20000, axis=0)
    counts = np.bincount(models.sample(logits, 1.0, None, np.random.default_rng(0)), minlength=3)
    np.testing.assert_allclose(counts / 20000, [0.1, 0.6, 0.3], atol=0.015)
    top = np.bincount(models.sample(logits, 1.0, 2, np.random.default_rng(0)), minlength=3)
    assert top[0] == 0


def test_translator_ignores_padding_and_the_future():
    lmbook.manual_seed(0)
    model = models.Transformer(models.TransformerConfig(20, 16, 2, 1, 1, 32)).eval()
    source, target = np.array([[5, 6, 7]]), np.array([[1, 8, 9]])
    padded = np.array([[5, 6, 7, 0, 0]])
    a, b = (host(model(lmbook.tensor(s), lmbook.tensor(target)).data) for s in (source, padded))
    np.testing.assert_allclose(a, b, atol=1e-5)
    later = host(model(lmbook.tensor(source), lmbook.tensor(np.array([[1, 8, 3]]))).data)
    np.testing.assert_allclose(a[:, :2], later[:, :2], atol=1e-6)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_translator_equals_torch():
    """The two stacks with PyTorch's weights, behind our embeddings."""
    lmbook.manual_seed(0)
    torch.manual_seed(0)
    config = models.TransformerConfig(20, 16, 2, 2, 2, 32, dropout=0.0)
    model = models.Transformer(config).double().eval()
    theirs = torch.nn.Transformer(
        16, 2, 2, 2, 32, dropout=0.0, batch_first=True, norm_first=True, dtype=torch.float64
    ).eval()
    for ours, other in ((model.encoder, theirs.encoder), (model.decoder, theirs.decoder)):
        other.load_state_dict({k: torch.tensor(host(v)) for k, v in ours.state_dict().items()})
    source, target = np.array([[5, 6, 7, 0]]), np.array([[1, 8, 9]])
    memory, padding = model.encode(lmbook.tensor(source))
    x = torch.tensor(host(model.embed(lmbook.tensor(source)).data))
    y = torch.tensor(host(model.embed(lmbook.tensor(target)).data))
    hidden_from = torch.tensor(host(padding))
    causal = torch.nn.Transformer.generate_square_subsequent_mask(3, dtype=torch.float64)
    hidden = theirs(
        x, y, tgt_mask=causal, tgt_is_causal=True, src_key_padding_mask=hidden_from,
        memory_key_padding_mask=hidden_from,
    )  # fmt: skip
    want = hidden.detach().numpy() @ host(model.embedding.weight.data).T
    got = host(model.decode(lmbook.tensor(target), memory, padding).data)
    pair = Pair("translator", models.Transformer, "torch Transformer", "torch")
    close(pair, "logits", got, want, 1e-12)


def test_beam_search_finds_at_least_what_greedy_finds():
    lmbook.manual_seed(0)
    model = models.Transformer(models.TransformerConfig(12, 16, 2, 1, 1, 32)).eval()
    source = np.random.default_rng(0).integers(3, 12, (6, 5))

    def mean_log_p(ids, row):
        target = np.array([[1, *ids]])
        logits = host(model(lmbook.tensor(source[row : row + 1]), lmbook.tensor(target)).data[0])
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        words = [*ids, 2][: len(logits)]
        return np.mean([log_p[t, w] for t, w in enumerate(words)])

    greedy, beam = (model.translate(source, 1, 2, max_length=6, beam=b) for b in (1, 8))
    assert sum(mean_log_p(b, i) >= mean_log_p(g, i) - 1e-4
               for i, (g, b) in enumerate(zip(greedy, beam))) >= 5  # fmt: skip
