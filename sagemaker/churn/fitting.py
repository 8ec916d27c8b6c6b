"""Fitting the families that are served, each for one horizon, and setting their odds right."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from hyperparameters import check_ranges
from listening.churn.features import FEATURES, POPULATION
from listening.churn.models import (
    LOGISTIC,
    RECENCY,
    TREES,
    Calibrated,
    Logistic,
    Model,
    Recency,
    Rows,
    Standard,
    Trees,
)
from listening.errors import DataError
from listening.trees import portable

if TYPE_CHECKING:
    from collections.abc import Callable

    from churn.data import Flags, Floats, Snapshots
    from hosts import Machine

LAST_DAYS = 28
"""Days of the last training dates, by which odds are set right."""
FEWEST_EVENTS = 50
"""Rows of each outcome that these dates and those before them must have for it."""
HELD_OUT = 5
"""One of so many training listeners is held out to stop early by."""
_RECENCY = FEATURES.index("recency")
_SHRINK = 2.0
"""Rows at the base rate that are added to each day of `Recency`."""
_MOST_ITERATIONS = 1000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about the trees that is not learned; as LightGBM's parameters."""

    learning_rate: float = 0.04
    num_leaves: int = 15
    min_data_in_leaf: int = 100
    lambda_l2: float = 10.0
    max_bin: int = 63
    feature_fraction: float = 0.5
    bagging_fraction: float = 0.8
    bagging_freq: int = 1
    max_rounds: int = 600
    early_stopping_rounds: int = 50

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        rules = {
            "learning_rate": 0 < self.learning_rate <= 1,
            "num_leaves": self.num_leaves >= 2,
            "min_data_in_leaf": self.min_data_in_leaf >= 1,
            "lambda_l2": self.lambda_l2 >= 0,
            "max_bin": 2 <= self.max_bin <= 255,
            "feature_fraction": 0 < self.feature_fraction <= 1,
            "bagging_fraction": 0 < self.bagging_fraction <= 1,
            "bagging_freq": self.bagging_freq >= 0,
            "max_rounds": self.max_rounds >= 1,
            "early_stopping_rounds": self.early_stopping_rounds >= 1,
        }
        check_ranges(self, rules)

    def lightgbm(self, *, columns: tuple[str, ...], seed: int, num_threads: int) -> dict[str, Any]:
        """Return LightGBM's parameters, deterministic whatever the number of threads."""
        settings = asdict(self)
        for name in ("max_rounds", "early_stopping_rounds"):
            del settings[name]
        return {
            **settings,
            "objective": "binary",
            "metric": "binary_logloss",
            "monotone_constraints": [int(name in RISING) for name in columns],
            "seed": seed,
            "num_threads": num_threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


RISING = ("recency", "recency_plays")
"""Features with which the risk may only rise."""


@dataclass(frozen=True, kw_only=True)
class Growing:
    """How trees are grown.

    Parameters
    ----------
    columns
        Names of what is read.
    recipe, seed, machine
        The same rows and seed give the same trees.
    """

    columns: tuple[str, ...]
    recipe: Recipe
    seed: int
    machine: Machine

    def settings(self, rows: Rows) -> dict[str, Any]:
        """Return LightGBM's parameters for so many rows."""
        threads = self.machine.threads_for(rows.size)
        return self.recipe.lightgbm(columns=self.columns, seed=self.seed, num_threads=threads)


def best_rounds(train: Snapshots, place: int, how: Growing) -> tuple[int, dict[str, list[float]]]:
    """Return how many trees are best for training listeners that are held out, and the curves.

    Parameters
    ----------
    train
        Rows to learn from, without bots.
    place
        The horizon's column of ``gone``.
    how
        The settings.

    Returns
    -------
    int, dict
        Rounds; log loss by round on the rows that were learned from and on those held out.
    """
    settings, gone = how.settings(train.rows), train.gone[:, place]
    held = train.listener % HELD_OUT == 0
    data = lightgbm.Dataset(train.rows[~held], gone[~held], params=settings)
    curve: dict[str, dict[str, list[float]]] = {}
    found = lightgbm.train(
        settings,
        data,
        num_boost_round=how.recipe.max_rounds,
        valid_sets=[data, data.create_valid(train.rows[held], gone[held])],
        valid_names=["train", "held out"],
        callbacks=[
            lightgbm.early_stopping(how.recipe.early_stopping_rounds, verbose=False),
            lightgbm.record_evaluation(curve),
        ],
    )
    rounds = found.best_iteration or found.current_iteration()
    return rounds, {name: values["binary_logloss"] for name, values in curve.items()}


def fit_trees(train: Snapshots, place: int, days: int, how: Growing, rounds: int) -> Calibrated:
    """Fit trees for one horizon.

    Parameters
    ----------
    train
        Rows to learn from, without bots.
    place, days
        The horizon's column of ``gone``, and the horizon.
    how, rounds
        The settings, and how many trees.
    """

    def fit(rows: Rows, gone: Flags) -> Trees:
        settings = how.settings(rows)
        data = lightgbm.Dataset(rows, gone, params=settings)
        trees = lightgbm.train(settings, data, num_boost_round=rounds)
        return Trees(portable(trees.model_to_string()), width=len(how.columns))

    return calibrated(TREES, fit, train, place, days)


def fit_logistic(train: Snapshots, place: int, days: int, *, penalty: float) -> Calibrated:
    """Fit logistic regression for one horizon.

    Parameters
    ----------
    train, place, days
        As `fit_trees`.
    penalty
        What squared coefficients cost, in log loss of a row: 1 / C of scikit-learn.
    """

    def fit(rows: Rows, gone: Flags) -> Logistic:
        columns = Standard.of(rows)
        values = columns.standardised(rows)
        found = LogisticRegression(C=1 / penalty, max_iter=_MOST_ITERATIONS)
        found.fit(np.hstack([values, values**2 - 1]), gone)
        linear, square = np.split(found.coef_[0], 2)
        return Logistic(columns, linear, square, float(found.intercept_[0]))

    return calibrated(LOGISTIC, fit, train, place, days)


def fit_recency(train: Snapshots, place: int, days: int) -> Calibrated:
    """Fit what recency alone says for one horizon; parameters as `fit_trees`."""
    every = np.arange(1, POPULATION + 1)

    def fit(rows: Rows, gone: Flags) -> Recency:
        day = rows[:, _RECENCY].astype(np.int64).clip(1, POPULATION) - 1
        n = np.bincount(day, minlength=POPULATION) + _SHRINK
        rate = (np.bincount(day, gone, POPULATION) + _SHRINK * gone.mean()) / n
        rising = IsotonicRegression().fit_transform(every, rate, sample_weight=n)
        rising = rising.clip(1e-4, 1 - 1e-4)
        return Recency(tuple(map(float, every)), tuple(map(float, np.log(rising / (1 - rising)))))

    return calibrated(RECENCY, fit, train, place, days)


def calibrated(
    family: str,
    fit: Callable[[Rows, Flags], Model],
    train: Snapshots,
    place: int,
    days: int,
) -> Calibrated:
    """Fit a family, its odds set right by how it does in the last weeks of the training dates.

    The straight line is that of a fit on the dates whose days ahead ended before those weeks; what
    is served is fitted on all. One date alone moves the odds by that date's chance.

    Parameters
    ----------
    family
        Its name.
    fit
        From rows and who was gone to a model.
    train, place, days
        As `fit_trees`.
    """
    gone = train.gone[:, place]
    if gone.all() or not gone.any():
        raise DataError(
            f"of {len(gone):,} training rows {int(gone.sum()):,} are gone for {days} days: there "
            "is nothing to learn; give a longer log or other --horizons"
        )
    last = train.date > train.date.max() - LAST_DAYS
    early = train.date + days <= train.date[last].min()
    slope, shift = 1.0, 0.0
    if all(min(gone[some].sum(), (~gone[some]).sum()) >= FEWEST_EVENTS for some in (last, early)):
        before = fit(np.ascontiguousarray(train.rows[early]), gone[early])
        odds = before.log_odds(np.ascontiguousarray(train.rows[last]))
        slope, shift = straight_line(odds, gone[last])
    return Calibrated(family, fit(train.rows, gone), slope, shift)


def straight_line(odds: Floats, gone: Flags) -> tuple[float, float]:
    """Return slope and shift of log odds that fit best (Platt scaling); never upside down."""
    found = LogisticRegression(C=np.inf, max_iter=_MOST_ITERATIONS).fit(odds[:, None], gone)
    slope = float(found.coef_[0, 0])
    return (slope, float(found.intercept_[0])) if slope > 0 else (1.0, 0.0)
