"""Matrix factorisation, NCF, factorisation machines and AutoInt: identities, gradients, optima, bad input."""

import copy

import numpy as np
import pytest
import torch
from proofs import Pair, close, sized
from scipy.optimize import minimize

import lmbook
from lmbook import nn
from lmbook.autograd import Tensor, gradcheck
from lmbook.backend import ShapeError
from lmbook.models.autoint import AutoInt, AutoIntConfig, Interaction
from lmbook.models.factorization_machine import (
    DeepFM,
    FactorizationMachine,
    FieldConfig,
    pairwise,
    pairwise_double_sum,
)
from lmbook.models.matrix_factorization import (
    MatrixFactorization,
    fit_als,
    fit_implicit_als,
)
from lmbook.models.ncf import GMF, MLP, NCFConfig, NeuMF
from lmbook.nn.init import shapes_only
from tests.parity import as_function, parity

FIELDS = FieldConfig((4, 3, 5), (1, 1, 2), width=3, hidden=(6, 5))


def ratings(rng, users=7, items=5, n=20):
    pairs = rng.permutation(users * items)[:n]
    return pairs // items, pairs % items, rng.integers(1, 6, n).astype(np.float32)


# Matrix factorisation


@pytest.mark.parametrize("bias", [True, False])
def test_als_never_rises_and_ends_at_a_stationary_point(rng, bias):
    users, items, r = ratings(rng)
    model = MatrixFactorization(7, 5, 2, bias).double()
    objective = fit_als(model, users, items, r, weight=0.1, sweeps=400)
    assert (np.diff(objective) <= 1e-9).all()
    error = (model(lmbook.tensor(users), lmbook.tensor(items)) - r.astype(float)).square().sum()
    loss = error
    for index, table, b in (
        (users, model.user, model.user_bias), (items, model.item, model.item_bias)
    ):  # fmt: skip
        n = np.bincount(index, minlength=table.num_embeddings)[:, None].astype(float)
        loss = loss + 0.1 * (table.weight.square() * n).sum()
        if bias:
            loss = loss + 0.1 * (b.weight.square() * n).sum()
    assert loss.item() == pytest.approx(objective[-1])
    loss.backward()
    for name, p in model.named_parameters():
        assert np.abs(p.grad.data).max() < 1e-3 * max(1, objective[-1]), name


def test_als_of_one_side_is_ridge_regression(rng):
    """One user: her factors are scikit-learn's ridge on the items' factors."""
    from sklearn.linear_model import Ridge

    model = MatrixFactorization(1, 6, 2, bias=False).double()
    q, r = model.item.weight.data.copy(), np.arange(1.0, 7.0)
    fit_als(model, np.zeros(6, int), np.arange(6), r, weight=0.3, sweeps=0)
    from lmbook.models.matrix_factorization import _groups, _ridge

    side = np.zeros((1, 2))
    _ridge(side, _groups(np.zeros(6, int), 1), q, np.arange(6), r - 3.5, 0.3, False)
    want = Ridge(alpha=0.3 * 6, fit_intercept=False).fit(q, r - 3.5).coef_
    pair = Pair("ALS, one side", MatrixFactorization, "scikit-learn Ridge")
    close(pair, "factors", side[0], want, 1e-12)


def test_implicit_als_minimises_the_sum_over_all_pairs(rng):
    users, items, _ = ratings(rng)
    counts = rng.integers(1, 4, len(users))
    model = MatrixFactorization(7, 5, 2, bias=False).double()
    objective = fit_implicit_als(model, users, items, counts, alpha=2, weight=0.5, sweeps=300)
    assert (np.diff(objective) <= 1e-9).all()
    x, c = np.zeros((7, 5)), np.ones((7, 5))
    x[users, items], c[users, items] = 1, 1 + 2 * counts

    def whole(flat):
        p, q = flat[:14].reshape(7, 2), flat[14:].reshape(5, 2)
        return (c * (x - p @ q.T) ** 2).sum() + 0.5 * ((p**2).sum() + (q**2).sum())

    found = np.r_[model.user.weight.data.ravel(), model.item.weight.data.ravel()]
    assert whole(found) == pytest.approx(objective[-1])
    best = min(
        minimize(whole, rng.standard_normal(24), method="BFGS").fun for _ in range(5)
    )  # fmt: skip
    assert objective[-1] <= best + 1e-4


def test_scores_are_the_pairs():
    for model in (
        MatrixFactorization(4, 5, 2), MatrixFactorization(4, 5, 2, bias=False),
        GMF(NCFConfig(4, 5, 2)), MLP(NCFConfig(4, 5, 2)), NeuMF(NCFConfig(4, 5, 2)),
    ):  # fmt: skip
        table = model.scores(np.array([3, 1]))
        want = model(lmbook.tensor(np.array([1] * 5)), lmbook.arange(5)).data
        np.testing.assert_allclose(table[1], want, atol=1e-6)


def test_als_names_what_does_not_fit():
    model = MatrixFactorization(3, 2, 2)
    with pytest.raises(ShapeError, match="vectors of one length"):
        fit_als(model, np.zeros(3, int), np.zeros(2, int), np.ones(3))
    with pytest.raises(ShapeError, match="items run from 0 to 2, the model has 0 to 1"):
        fit_als(model, np.zeros(3, int), np.arange(3), np.ones(3))
    with pytest.raises(ValueError, match="bias=False"):
        fit_implicit_als(model, np.zeros(2, int), np.arange(2))


# NCF


def test_ncf_sizes():
    """K = 8: embeddings of 8 for GMF, of 32 for the tower 64-32-16-8, a joined output of 16."""
    users, items = 943, 1682
    with shapes_only():
        config = NCFConfig(users, items)
        counts = [m(config).num_parameters() for m in (GMF, MLP, NeuMF)]
    tower = 64 * 32 + 32 + 32 * 16 + 16 + 16 * 8 + 8
    wanted = (8, 9), (32, tower + 9), (40, tower + 17)
    for model, count, (width, rest) in zip((GMF, MLP, NeuMF), counts, wanted):
        name = f"{users} users, {items} items, K = 8"
        sized(name, model, count, (users + items) * width + rest, "layers of he2017ncf")


def test_pretrained_fusion_is_the_weighted_mean_of_logits(rng):
    config = NCFConfig(6, 7, factors=4)
    gmf, mlp = GMF(config), MLP(config)
    for model in (gmf, mlp):
        for p in model.parameters():
            nn.init.normal_(p)
    users, items = (lmbook.tensor(rng.integers(0, 6, 9)) for _ in range(2))
    for alpha in (0.5, 0.2):
        fused = NeuMF.pretrained(gmf, mlp, alpha)
        want = alpha * gmf(users, items).data + (1 - alpha) * mlp(users, items).data
        pair = Pair("NeuMF, pretrained", NeuMF, "weighted mean of GMF and MLP")
        close(pair, "logits", fused(users, items).data, want, 1e-5, "1 + |y|")
    with pytest.raises(ValueError, match="sizes differ"):
        NeuMF.pretrained(gmf, MLP(NCFConfig(6, 7, factors=2)))


def test_gmf_with_ones_is_matrix_factorisation(rng):
    model, plain = GMF(NCFConfig(5, 5, 3)), MatrixFactorization(5, 5, 3, bias=False)
    nn.init.ones_(model.output.weight)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "output" not in k}
                          | {"mean": np.zeros(1)})  # fmt: skip
    users, items = (lmbook.tensor(rng.integers(0, 5, 9)) for _ in range(2))
    pair = Pair("GMF with ones", GMF, "matrix factorisation")
    close(pair, "scores", model(users, items).data, plain(users, items).data, 1e-7)


# Factorisation machines


@pytest.mark.parametrize("shape", [(4, 1, 3), (2, 2, 1), (3, 7, 5), (5, 12, 16)])
def test_the_fast_sum_over_pairs_is_the_double_sum(rng, shape):
    v = Tensor(rng.standard_normal(shape), requires_grad=True)
    both = [f(v) for f in (pairwise, pairwise_double_sum)]
    pair = Pair("FM identity", FactorizationMachine, "double sum over pairs")
    close(pair, "sums", both[0].data, both[1].data, 1e-12)
    g = [lmbook.autograd.grad(y.sum(), v)[0].data for y in both]
    close(pair, "gradients", *g, 1e-12)
    assert gradcheck(pairwise, v)


def test_the_fast_sum_does_linear_work():
    """Products counted on shapes: S K against S (S - 1) / 2 K, by the entries that are made."""

    def made(function, slots):
        v = Tensor(np.ones((1, slots, 2)), requires_grad=True)
        total, seen, todo = 0, set(), [function(v)._node]
        while todo:
            node = todo.pop()
            if node is None or id(node) in seen or not hasattr(node, "edges"):
                continue
            seen.add(id(node))
            total += 1
            todo += [e for e in node.edges if e is not None]
        return total

    assert made(pairwise, 4) == made(pairwise, 40)
    assert made(pairwise_double_sum, 40) > 40 * made(pairwise_double_sum, 4)


def test_machine_equals_its_definition(rng):
    model = FactorizationMachine(FIELDS).double()
    for p in model.parameters():
        nn.init.normal_(p)
    index = rng.integers(0, 4, (6, 4)) + np.array([0, 4, 7, 7]) % 9
    values = rng.standard_normal((6, 4))
    w0, w = model.constant.data[0], model.linear.table.weight.data[:, 0]
    v = model.vectors.table.weight.data
    want = []
    for row, x in zip(index, values):
        y = w0 + w[row] @ x
        y += sum(
            v[row[i]] @ v[row[j]] * x[i] * x[j] for i in range(4) for j in range(i + 1, 4)
        )  # fmt: skip
        want.append(y)
    pair = Pair("factorisation machine", FactorizationMachine, "definition in NumPy")
    close(pair, "scores", model(lmbook.tensor(index), values).data, want, 1e-10)
    assert model.interaction(1, 5) == pytest.approx(float(v[1] @ v[5]))


@pytest.mark.parametrize("kind", ["fm", "deepfm", "autoint", "autoint+"])
def test_gradients_of_click_models(rng, kind):
    auto = AutoIntConfig(FIELDS.sizes, FIELDS.slots, 3, (6, 5), layers=2, head_width=2)
    model = {
        "fm": lambda: FactorizationMachine(FIELDS),
        "deepfm": lambda: DeepFM(FIELDS),
        "autoint": lambda: AutoInt(auto),
        "autoint+": lambda: AutoInt(AutoIntConfig(**{**vars(auto), "deep": True})),
    }[kind]()
    model.double()
    for p in model.parameters():
        nn.init.normal_(p, std=0.5)
    index = lmbook.tensor(np.array([[0, 4, 7, 8], [3, 6, 11, 7], [1, 5, 9, 10]]))
    values = np.array([[1, 1, 0.5, 0.5], [1, 1, 1, 0], [1, 1, 0.5, 0.5]])
    function, names = as_function(model)
    leaves = [Tensor(p.data.copy(), True) for p in model.parameters()]
    assert len(names) == len(leaves)
    assert gradcheck(lambda *ps: function(index, values, *ps), leaves)


def test_interaction_equals_torch_attention(rng):
    """Unscaled attention, residual and ReLU, against PyTorch's scaled_dot_product_attention."""
    layer = Interaction(5, 2, 3).double()
    function, _ = as_function(layer)

    def theirs(x, q, k, v, r):
        parts = [(x @ w.T).reshape(*x.shape[:2], 2, 3).transpose(1, 2) for w in (q, k, v)]
        y = torch.nn.functional.scaled_dot_product_attention(*parts, scale=1.0)
        return torch.relu(y.transpose(1, 2).reshape(*x.shape[:2], 6) + x @ r.T)

    weights = [(6, 5)] * 4
    parity("models.Interaction", lambda *a: function(*a)[0], theirs, [(2, 4, 5), *weights],
           finite=False, layouts=("contiguous",))  # fmt: skip
    x, *ws = (rng.standard_normal(shape) for shape in [(2, 4, 5), *weights])
    pair = Pair("AutoInt, a layer", Interaction, "torch scaled_dot_product_attention")
    want = theirs(*(torch.tensor(a) for a in (x, *ws))).numpy()
    close(pair, "outputs", function(*map(Tensor, (x, *ws)))[0].data, want, 1e-12)


def test_a_copy_of_torch_deepfm(rng):
    """The perceptron sees the fields' vectors side by side, several genres as one mean."""
    model = DeepFM(FIELDS).eval()
    index = lmbook.tensor(np.array([[0, 4, 7, 8]]))
    values = np.array([[1, 1, 0.5, 0.5]], np.float32)
    v = model.vectors(index, values)
    fields = model.vectors.of_fields(v).data
    table = model.vectors.table.weight.data
    np.testing.assert_allclose(fields[0, 2], (table[7] + table[8]) / 2, atol=1e-7)
    plain = copy.deepcopy(model)
    nn.init.zeros_(plain.deep[-1].weight)
    nn.init.zeros_(plain.deep[-1].bias)
    machine = FactorizationMachine(FIELDS)
    machine.load_state_dict(
        {k: x for k, x in plain.state_dict().items() if not k.startswith("deep")}
    )
    pair = Pair("DeepFM without its tower", DeepFM, "factorisation machine")
    close(pair, "scores", plain(index, values).data, machine(index, values).data, 1e-7)


def test_wrong_fields_are_named():
    with pytest.raises(ShapeError, match=r"must be \(examples, 4\)"):
        FactorizationMachine(FIELDS)(lmbook.tensor(np.zeros((2, 3), int)))
    with pytest.raises(ShapeError, match="3 fields have 2 numbers of slots"):
        DeepFM(FieldConfig((4, 3, 5), (1, 1)))
