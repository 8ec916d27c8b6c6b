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
    Calibrated,
    Logistic,
    Model,
    Recency,
    Rows,
    Trees,
    standardised,
)
from listening.errors import DataError
from listening.trees import portable

if TYPE_CHECKING:
    from collections.abc import Callable

    from churn.data import Flags, Floats, Snapshots
    from hosts import Machine

FEWEST_EVENTS = 20
"""Rows of each outcome that the last training date must have for odds to be set right by it."""
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


@dataclass(frozen=True)
class Grown:
    """Trees of one horizon and how they came about.

    Parameters
    ----------
    model
        Set right by the last training date.
    rounds
        How many trees.
    curve
        Log loss by round on the rows that were learned from and on those held out.
    importance
        Gain by column, (width,).
    """

    model: Calibrated
    rounds: int
    curve: dict[str, list[float]]
    importance: tuple[float, ...]


def fit_trees(  # noqa: PLR0913 - what to learn, from what, and how
    train: Snapshots,
    place: int,
    days: int,
    *,
    columns: tuple[str, ...],
    recipe: Recipe,
    seed: int,
    machine: Machine,
) -> Grown:
    """Fit trees for one horizon: rounds are those best for listeners that were held out.

    Parameters
    ----------
    train
        Rows to learn from, without bots.
    place, days
        The horizon's column of ``gone``, and the horizon.
    columns
        Names of what is read.
    recipe, seed, machine
        How; the same rows and seed give the same trees.
    """
    threads = machine.threads_for(train.rows.size)
    settings = recipe.lightgbm(columns=columns, seed=seed, num_threads=threads)
    gone = train.gone[:, place]
    held = train.listener % HELD_OUT == 0
    data = lightgbm.Dataset(train.rows[~held], gone[~held], params=settings)
    curve: dict[str, dict[str, list[float]]] = {}
    first = lightgbm.train(
        settings,
        data,
        num_boost_round=recipe.max_rounds,
        valid_sets=[data, data.create_valid(train.rows[held], gone[held])],
        valid_names=["train", "held out"],
        callbacks=[
            lightgbm.early_stopping(recipe.early_stopping_rounds, verbose=False),
            lightgbm.record_evaluation(curve),
        ],
    )
    rounds = first.best_iteration or first.current_iteration()

    def grow(rows: Rows, gone: Flags) -> Trees:
        data = lightgbm.Dataset(rows, gone, params=settings)
        trees = lightgbm.train(settings, data, num_boost_round=rounds)
        return Trees(portable(trees.model_to_string()), width=len(columns))

    model = calibrated("trees", grow, train, place, days)
    assert isinstance(model.model, Trees)
    served = lightgbm.Booster(model_str=model.model.text)
    return Grown(
        model=model,
        rounds=rounds,
        curve={name: values["binary_logloss"] for name, values in curve.items()},
        importance=tuple(map(float, served.feature_importance("gain"))),
    )


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
        values = rows.astype(np.float64)
        is_log = (values.min(axis=0) >= 0) & (values.max(axis=0) > 1)
        values[:, is_log] = np.log1p(values[:, is_log])
        mean, scale = values.mean(axis=0), values.std(axis=0)
        scale[scale < 1e-9 * (1 + np.abs(mean))] = np.inf  # what never varies says nothing
        found = LogisticRegression(C=1 / penalty, max_iter=_MOST_ITERATIONS)
        found.fit(standardised(rows, is_log, mean, scale), gone)
        return Logistic(is_log, mean, scale, found.coef_[0], float(found.intercept_[0]))

    return calibrated("logistic", fit, train, place, days)


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

    return calibrated("recency", fit, train, place, days)


def calibrated(
    family: str,
    fit: Callable[[Rows, Flags], Model],
    train: Snapshots,
    place: int,
    days: int,
) -> Calibrated:
    """Fit a family, its odds set right by how it does on the last training date.

    The straight line is that of a fit on the dates whose days ahead ended before the last date;
    what is served is fitted on all.

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
    last = train.date == train.date.max()
    early = train.date + days <= train.date.max()
    slope, shift = 1.0, 0.0
    enough = all(
        min(gone[rows].sum(), (~gone[rows]).sum()) >= FEWEST_EVENTS for rows in (last, early)
    )
    if enough:
        before = fit(np.ascontiguousarray(train.rows[early]), gone[early])
        odds = before.log_odds(np.ascontiguousarray(train.rows[last]))
        slope, shift = straight_line(odds, gone[last])
    return Calibrated(family, fit(train.rows, gone), slope, shift)


def straight_line(odds: Floats, gone: Flags) -> tuple[float, float]:
    """Return slope and shift of log odds that fit best (Platt scaling); never upside down."""
    found = LogisticRegression(C=np.inf, max_iter=_MOST_ITERATIONS).fit(odds[:, None], gone)
    slope = float(found.coef_[0, 0])
    return (slope, float(found.intercept_[0])) if slope > 0 else (1.0, 0.0)
