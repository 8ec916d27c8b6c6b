"""The settings of a model: shipped defaults by level and amount of data, and their overrides.

``defaults.json`` holds, for each level (region, country, flat), the settings common to all its
models and tiers that replace some of them from a number of training listeners per effective
country on (effective countries: exponent of the entropy of their shares). A hyperparameter of the
training job of the same name overrides both.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hyperparameters import check_ranges, overridden

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULTS = Path(__file__).with_name("defaults.json")

Level = Literal["region", "country", "flat"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about a model that is not learned.

    Parameters
    ----------
    blocks
        Feature blocks that the trees read; those that the data does not have are left out.
    base
        Feature block of log-probabilities that the trees start from; empty for none.
    learning_rate, num_leaves, min_data_in_leaf, lambda_l2, path_smooth, max_bin
        As LightGBM's parameters.
    feature_fraction, bagging_fraction, bagging_freq
        As LightGBM's.
    max_rounds
        The most boosting rounds.
    early_stopping_rounds
        Rounds without improvement on validation after which training stops; 0 for never.
    class_weights
        ``sqrt``: min(cap, sqrt(N / (K · n_class))); ``none``: 1.
    class_weight_cap
        The cap.
    prior_power
        Probabilities are divided by the class's share to this power: above 0, the tail gains.
    label_noise
        ``yes``: calibration may put some of the prior into every answer; ``no``: it may not.
    """

    blocks: tuple[str, ...]
    base: str = ""
    learning_rate: float = 0.03
    num_leaves: int = 5
    min_data_in_leaf: int = 40
    lambda_l2: float = 20.0
    path_smooth: float = 20.0
    max_bin: int = 63
    feature_fraction: float = 0.5
    bagging_fraction: float = 0.8
    bagging_freq: int = 1
    max_rounds: int = 150
    early_stopping_rounds: int = 15
    class_weights: str = "none"
    class_weight_cap: float = 5.0
    prior_power: float = 0.1
    label_noise: str = "yes"

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        rules = {
            "learning_rate": 0 < self.learning_rate <= 1,
            "num_leaves": self.num_leaves >= 2,
            "min_data_in_leaf": self.min_data_in_leaf >= 1,
            "lambda_l2": self.lambda_l2 >= 0,
            "path_smooth": self.path_smooth >= 0,
            "max_bin": 2 <= self.max_bin <= 255,
            "feature_fraction": 0 < self.feature_fraction <= 1,
            "bagging_fraction": 0 < self.bagging_fraction <= 1,
            "bagging_freq": self.bagging_freq >= 0,
            "max_rounds": self.max_rounds >= 0,
            "early_stopping_rounds": self.early_stopping_rounds >= 0,
            "class_weights": self.class_weights in {"none", "sqrt"},
            "class_weight_cap": self.class_weight_cap >= 1,
            "prior_power": 0 <= self.prior_power <= 1,
            "label_noise": self.label_noise in {"yes", "no"},
        }
        check_ranges(self, rules)

    def lightgbm(self, *, n_classes: int, seed: int, num_threads: int) -> dict[str, Any]:
        """Return LightGBM's parameters, deterministic whatever the number of threads."""
        return {
            "objective": "multiclass",
            "num_class": n_classes,
            "metric": "multi_logloss",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_data_in_leaf,
            "lambda_l2": self.lambda_l2,
            "path_smooth": self.path_smooth,
            "max_bin": self.max_bin,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": self.bagging_freq,
            "seed": seed,
            "num_threads": num_threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return {**asdict(self), "blocks": list(self.blocks)}


SETTINGS = frozenset(field.name for field in fields(Recipe))
"""Names of the hyperparameters that override a recipe."""


def recipe_for(
    level: Level,
    *,
    listeners: int,
    effective_classes: float,
    hyperparameters: Mapping[str, str] | None = None,
    defaults: Path = DEFAULTS,
) -> Recipe:
    """Return the settings for a model of a level, given how much data it has.

    Parameters
    ----------
    level
        Which of the models.
    listeners
        Training listeners of the model.
    effective_classes
        Exponent of the entropy of its classes' shares.
    hyperparameters
        What the training job overrides.
    defaults
        The file of defaults.
    """
    document = json.loads(defaults.read_bytes())[level]
    settings = dict(document["settings"])
    for tier in document["tiers"]:
        if listeners / effective_classes >= tier["from_listeners_per_class"]:
            settings |= tier["settings"]
    settings["blocks"] = tuple(settings["blocks"])
    return overridden(Recipe(**settings), hyperparameters or {})
