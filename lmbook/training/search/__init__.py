"""Search for hyper-parameters: spaces, grid, random and Bayesian search, halving, and transfer by muP."""

from lmbook.training.search.acquisition import (
    expected_improvement,
    log_expected_improvement,
    lower_confidence_bound,
    normal_cdf,
)
from lmbook.training.search.bayesian import BayesianSearch
from lmbook.training.search.functions import FUNCTIONS, TestFunction
from lmbook.training.search.gaussian_process import GaussianProcess
from lmbook.training.search.halving import (
    HalvingResult,
    Rung,
    hyperband,
    hyperband_plan,
    rungs,
    successive_halving,
)
from lmbook.training.search.kernels import RBF, Kernel, Matern
from lmbook.training.search.run import SearchFailed, SearchResult, Trial, search
from lmbook.training.search.sequential import Exhausted, GridSearch, RandomSearch, latin_hypercube
from lmbook.training.search.space import Categorical, Float, Int, SearchSpace
from lmbook.training.search.transfer import mup_groups

__all__ = [
    "FUNCTIONS", "RBF", "BayesianSearch", "Categorical", "Exhausted", "Float", "GaussianProcess",
    "GridSearch", "HalvingResult", "Int", "Kernel", "Matern", "RandomSearch", "Rung", "SearchFailed",
    "SearchResult", "SearchSpace", "TestFunction", "Trial", "expected_improvement", "hyperband",
    "hyperband_plan", "latin_hypercube", "log_expected_improvement", "lower_confidence_bound",
    "mup_groups", "normal_cdf", "rungs", "search", "successive_halving",
]  # fmt: skip
