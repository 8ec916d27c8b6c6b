"""Fitting quantile trees: one model a level, on the root of hours."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from hyperparameters import check_ranges
from listening.sessions.bundle import QuantileTrees
from listening.sessions.forecast import LEVELS, MEDIAN
from listening.trees import RAW_SCORE, portable, predict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts import Machine
    from sessions.data import Features, Floats


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about quantile trees that is not learned; as LightGBM's parameters."""

    learning_rate: float = 0.06
    num_leaves: int = 15
    min_data_in_leaf: int = 200
    lambda_l2: float = 10.0
    max_bin: int = 63
    feature_fraction: float = 0.5
    bagging_fraction: float = 0.8
    bagging_freq: int = 1
    max_rounds: int = 600
    early_stopping_rounds: int = 40

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

    def lightgbm(self, *, level: float, seed: int, num_threads: int) -> dict[str, Any]:
        """Return LightGBM's parameters, deterministic whatever the number of threads."""
        settings = asdict(self)
        for name in ("max_rounds", "early_stopping_rounds"):
            del settings[name]
        return {
            **settings,
            "objective": "quantile",
            "alpha": level,
            "metric": "quantile",
            "seed": seed,
            "num_threads": num_threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


@dataclass(frozen=True)
class Data:
    """What is learned from: features, (n, width), and roots of hours or gains of them, (n,)."""

    features: Features
    roots: Floats

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.roots)

    def and_also(self, other: Data) -> Data:
        """Return both."""
        return Data(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.roots, other.roots]),
        )


@dataclass(frozen=True)
class Fitted:
    """Quantile trees and how they came about.

    Parameters
    ----------
    trees
        Fitted on training and validation rows together, for as many rounds as were best on
        validation. Offsets are half of what trees fitted on training rows alone lack there: the
        others have seen half of the way from the training rows to what comes next.
    validation
        Quantiles of the validation rows' roots by the latter, (n, 9).
    rounds
        Of each level.
    curve
        Pinball loss of the median by round, of ``train`` and ``validation``, in roots of hours.
    importance
        Gain of the median's trees by feature, (width,).
    """

    trees: QuantileTrees
    validation: Floats
    rounds: tuple[int, ...]
    curve: dict[str, list[float]] = field(default_factory=dict)
    importance: tuple[float, ...] = ()


def fit(  # noqa: PLR0913 - what to learn, from what, and how
    train: Data,
    validation: Data,
    *,
    recipe: Recipe,
    seed: int,
    machine: Machine,
    standardise: bool = False,
) -> Fitted:
    """Fit one model a level.

    Parameters
    ----------
    train, validation
        Rows to learn from, and to stop early by.
    recipe
        The settings.
    seed
        The same rows and seed give the same models.
    machine
        Threads.
    standardise
        Learn standard deviations from the mean of the training rows.
    """
    centre, scale = 0.0, 1.0
    if standardise:
        centre, scale = float(train.roots.mean()), float(train.roots.std()) or 1.0
    rows = Data(train.features, (train.roots - centre) / scale)
    held = Data(validation.features, (validation.roots - centre) / scale)
    threads = machine.threads_for(rows.features.size)
    shared = recipe.lightgbm(level=0.5, seed=seed, num_threads=threads)
    data = lightgbm.Dataset(rows.features, rows.roots, params=shared, free_raw_data=False)
    valid = data.create_valid(held.features, held.roots)
    both = rows.and_also(held)
    whole = lightgbm.Dataset(both.features, both.roots, params=shared, free_raw_data=False)
    texts, offsets, columns, rounds = [], [], [], []
    curve: dict[str, dict[str, list[float]]] = {}
    importance: tuple[float, ...] = ()
    for place, level in enumerate(LEVELS):
        parameters = recipe.lightgbm(level=level, seed=seed, num_threads=threads)
        found: dict[str, dict[str, list[float]]] = {}
        first = lightgbm.train(
            parameters,
            data,
            num_boost_round=recipe.max_rounds,
            valid_sets=[data, valid] if place == MEDIAN else [valid],
            valid_names=["train", "validation"] if place == MEDIAN else ["validation"],
            callbacks=[_stop(recipe), lightgbm.record_evaluation(found)],
        )
        best = first.best_iteration or first.current_iteration()
        score = _score(lightgbm.Booster(model_str=first.model_to_string(num_iteration=best)), held)
        lacking = scale * float(np.quantile(held.roots - score, level))
        offsets.append(lacking / 2)
        columns.append(centre + scale * score + lacking)
        last = lightgbm.train(parameters, whole, num_boost_round=best)
        texts.append(portable(last.model_to_string()))
        rounds.append(best)
        if place == MEDIAN:
            curve = found
            importance = tuple(map(float, last.feature_importance("gain")))
    return Fitted(
        trees=QuantileTrees(tuple(texts), centre, scale, tuple(offsets)),
        validation=np.stack(columns, axis=1),
        rounds=tuple(rounds),
        curve={name: values["quantile"] for name, values in curve.items()},
        importance=importance,
    )


def _stop(recipe: Recipe) -> Any:
    return lightgbm.early_stopping(recipe.early_stopping_rounds, verbose=False)


def _score(trees: lightgbm.Booster, rows: Data) -> Floats:
    return predict(trees, np.ascontiguousarray(rows.features), kind=RAW_SCORE, outputs=1)[:, 0]


def pinball(length: Floats, quantiles: Floats, levels: Sequence[float] = LEVELS) -> Floats:
    """Return the mean pinball loss over the levels of each forecast, in seconds, (n,).

    Parameters
    ----------
    length
        What came, in seconds, (n,).
    quantiles
        What was forecast, (n, n_levels).
    """
    above = length[:, None] - quantiles
    level = np.array(levels)
    return np.asarray(np.maximum(level * above, (level - 1) * above).mean(axis=1))
