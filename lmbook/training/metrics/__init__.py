"""Metrics, each with an interval: what a figure measured on a sample says about the next one."""

from lmbook.training.metrics.calibration import (
    Reliability,
    brier_score_interval,
    brier_score_loss,
    calibrated_level,
    expected_calibration_error,
    expected_calibration_error_interval,
    fit_temperature,
    log_loss,
    log_loss_interval,
    reliability,
)
from lmbook.training.metrics.classification import (
    accuracy_interval,
    accuracy_score,
    confusion_matrix,
    f1_interval,
    f1_score,
    precision_interval,
    precision_score,
    recall_interval,
    recall_score,
)
from lmbook.training.metrics.edits import (
    character_error_rate,
    edit_distance,
    word_error_rate,
    word_error_rate_interval,
)
from lmbook.training.metrics.interval import (
    Interval,
    bootstrap_interval,
    mean_interval,
    ratio_interval,
    wilson_interval,
)
from lmbook.training.metrics.language import (
    bits_per_byte,
    bits_per_byte_interval,
    perplexity,
    perplexity_interval,
)
from lmbook.training.metrics.ranking import (
    average_precision_interval,
    average_precision_score,
    precision_recall_curve,
    roc_auc_difference,
    roc_auc_interval,
    roc_auc_score,
    roc_curve,
)
from lmbook.training.metrics.top_n import hit_rate, ndcg, target_ranks

__all__ = [
    "Interval", "Reliability", "accuracy_interval", "accuracy_score",
    "average_precision_interval", "average_precision_score", "bits_per_byte",
    "bits_per_byte_interval", "bootstrap_interval", "brier_score_interval", "brier_score_loss",
    "calibrated_level", "character_error_rate", "confusion_matrix", "edit_distance",
    "expected_calibration_error", "expected_calibration_error_interval", "f1_interval",
    "f1_score", "fit_temperature", "hit_rate", "log_loss", "log_loss_interval", "mean_interval", "ndcg",
    "perplexity", "perplexity_interval", "precision_interval", "precision_recall_curve",
    "precision_score", "ratio_interval", "recall_interval", "recall_score", "reliability",
    "roc_auc_difference", "roc_auc_interval", "roc_auc_score", "roc_curve", "target_ranks",
    "wilson_interval", "word_error_rate", "word_error_rate_interval",
]  # fmt: skip
