"""How good is an optimiser? Run lengths to targets, expected running time, their distribution, and tests.

recorder.py counts evaluations, runlength.py sums them up, solvers.py brings optimisers into one form,
statistics.py tells differences from chance.
"""

from lmbook.optim.performance.recorder import Finished, Recorder, Solver, record
from lmbook.optim.performance.runlength import RunLengths, area, ecdf, ert
from lmbook.optim.performance.solvers import ask_tell, descend, difference_gradient, random_search
from lmbook.optim.performance.statistics import (
    SignificanceResult,
    average_ranks,
    benjamini_hochberg,
    critical_difference,
    friedmanchisquare,
    holm,
    mannwhitneyu,
    rankdata,
    sign_test,
    wilcoxon,
)

__all__ = [
    "Finished", "Recorder", "RunLengths", "SignificanceResult", "Solver", "area", "ask_tell", "average_ranks",
    "benjamini_hochberg", "critical_difference", "descend", "difference_gradient", "ecdf", "ert",
    "friedmanchisquare", "holm", "mannwhitneyu", "random_search", "rankdata", "record", "sign_test",
    "wilcoxon",
]  # fmt: skip
