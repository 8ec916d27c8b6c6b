"""The tasks that fit one family for every horizon: trees and logistic regression.

Each is fitted on the training rows, by which the judge chooses a family on validation, and on all
rows before the test, which is what is served. Where few of the validation rows are gone, the
training rows help to choose: what is said of them is then said by fits of other listeners.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from churn.data import FeaturesManifest, Snapshots, joined, read_snapshots
from churn.fitting import Growing, Recipe, best_rounds, fit_logistic, fit_trees
from hosts import Machine
from hyperparameters import check_ranges, overridden, refuse_unknown, seed_of
from listening.archive import ArchiveWriter
from listening.churn.bundle import MODEL
from listening.churn.models import LOGISTIC, TREES, Logistic, Trees, probability
from listening.systems import validation_metric

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from churn.data import Flags, Floats
    from job import Job
    from listening.churn.models import Calibrated

    Fit = Callable[[Snapshots], Calibrated]

TRAINING = "training.json"
"""Beside the models in their archive: curves, importance, settings and losses on validation."""
ENOUGH = 500
"""Validation rows of each outcome that are enough to choose a family by."""
FOLDS = 3
RECIPE = frozenset(one.name for one in fields(Recipe))


@dataclass(frozen=True)
class Penalty:
    """Of logistic regression: what squared coefficients cost; 1 / C of scikit-learn."""

    penalty: float = 300.0

    def __post_init__(self) -> None:
        """Refuse a value outside its range."""
        check_ranges(self, {"penalty": self.penalty > 0})


@dataclass(frozen=True)
class Given:
    """What a task learns from, without bots.

    Parameters
    ----------
    manifest
        Of the features run.
    train, validation, rest
        The splits before the test.
    """

    manifest: FeaturesManifest
    train: Snapshots
    validation: Snapshots
    rest: Snapshots

    @classmethod
    def of(cls, job: Job) -> Given:
        """Read the channels ``features``, ``train``, ``validation`` and ``rest``."""
        manifest = FeaturesManifest.read(job.channel("features"))
        names = ("train", "validation", "rest")
        splits = (read_snapshots(job.channel(name), manifest) for name in names)
        return cls(manifest, *(one.take(~one.is_bot) for one in splits))

    def few_are_gone(self, place: int) -> bool:
        """Tell whether too few validation rows are gone, or stay, to choose a family by."""
        gone = int(self.validation.gone[:, place].sum())
        return min(gone, len(self.validation) - gone) < ENOUGH

    def rows_to_choose(self, place: int) -> Snapshots:
        """Return the rows that choose a family: validation's, and where few are gone training's."""
        if not self.few_are_gone(place):
            return self.validation
        return joined([self.validation, self.train])

    @cached_property
    def everything(self) -> Snapshots:
        """All rows before the test."""
        return joined([self.train, self.validation, self.rest])


def train_trees(job: Job) -> None:
    """Fit trees for every horizon.

    Channels as `Given`. Hyperparameters: those of `fitting.Recipe`.
    """
    refuse_unknown(job, RECIPE)
    given = Given.of(job)
    how = Growing(
        columns=given.manifest.columns,
        recipe=overridden(Recipe(), job.hyperparameters),
        seed=seed_of(job),
        machine=Machine(num_threads=job.num_threads),
    )
    told, fits = Told(TREES, vars(how.recipe)), {}
    for place, days in enumerate(given.manifest.horizons):
        told.rounds[days], told.curve[days] = best_rounds(given.train, place, how)
        fits[days] = partial(fit_trees, place=place, days=days, how=how, rounds=told.rounds[days])
    _finish(job, fits, told, given, importance=_gains)


def train_logistic(job: Job) -> None:
    """Fit logistic regression for every horizon.

    Channels as `Given`. Hyperparameters: those of `Penalty`.
    """
    refuse_unknown(job, [one.name for one in fields(Penalty)])
    given, settings = Given.of(job), overridden(Penalty(), job.hyperparameters)
    fits = {
        days: partial(fit_logistic, place=place, days=days, penalty=settings.penalty)
        for place, days in enumerate(given.manifest.horizons)
    }
    _finish(job, fits, Told(LOGISTIC, vars(settings)), given, importance=_sizes)


TASKS = {"churn.trees": train_trees, "churn.logistic": train_logistic}
"""By system and the name in its entry."""


@dataclass(frozen=True)
class Told:
    """What a task says of itself, by horizon.

    Parameters
    ----------
    family, recipe
        What was fitted, and its settings.
    rounds, curve
        Of trees.
    """

    family: str
    recipe: dict[str, Any]
    rounds: dict[int, int] = field(default_factory=dict)
    curve: dict[int, dict[str, list[float]]] = field(default_factory=dict)


def _gains(model: Calibrated) -> Floats:
    assert isinstance(model.model, Trees)
    trees = lightgbm.Booster(model_str=model.model.text)
    return np.asarray(trees.feature_importance("gain"), dtype=np.float64)


def _sizes(model: Calibrated) -> Floats:
    """Return the sizes of the coefficients of standardised columns and their squares."""
    assert isinstance(model.model, Logistic)
    return np.abs(model.model.linear) + np.abs(model.model.square)


def log_loss(gone: Flags, risk: Floats) -> Floats:
    """Return the log loss of each row, (n,)."""
    right = np.where(gone, risk, 1 - risk)
    return np.asarray(-np.log(right.clip(1e-12)))


def said_to_choose(fit: Fit, given: Given, place: int) -> Floats:
    """Return a family's risks of `Given.rows_to_choose`, by fits that saw none of their listeners.

    Parameters
    ----------
    fit
        Fits the family on rows.
    given
        The rows.
    place
        The horizon's column of ``gone``.
    """
    said = [probability(fit(given.train).log_odds(given.validation.rows))]
    if given.few_are_gone(place):
        fold, own = given.train.listener % FOLDS, np.empty(len(given.train))
        for turn in range(FOLDS):
            rows = np.ascontiguousarray(given.train.rows[fold == turn])
            own[fold == turn] = probability(fit(given.train.take(fold != turn)).log_odds(rows))
        said.append(own)
    return np.concatenate(said)


def _finish(
    job: Job,
    fits: Mapping[int, Fit],
    told: Told,
    given: Given,
    *,
    importance: Callable[[Calibrated], Floats],
) -> None:
    manifest, archive, family = given.manifest, ArchiveWriter(job.model_folder), told.family
    said, losses, served = {}, {}, {}
    for place, (days, fit) in enumerate(fits.items()):
        said[days] = said_to_choose(fit, given, place)
        rows = given.rows_to_choose(place)
        losses[days] = float(log_loss(rows.gone[:, place], said[days]).mean())
        served[days] = fit(given.everything)
    content = {
        "name": family,
        "horizons": {
            str(days): model.write(archive, f"{family}-{days}") for days, model in served.items()
        },
        "to_choose": {
            str(days): archive.array(f"to-choose-{days}.npy", risks) for days, risks in said.items()
        },
    }
    version = archive.finish(
        MODEL, content, created_from={"features_run": manifest.run}, synthetic=manifest.synthetic
    )
    record = {
        "name": family,
        "recipe": told.recipe,
        "rows": {"train": len(given.train), "everything": len(given.everything)},
        "log_loss": losses,
        "importance": {
            days: _named(manifest.columns, importance(model)) for days, model in served.items()
        },
        "rounds": told.rounds,
        "curve": told.curve,
    }
    (job.model_folder / TRAINING).write_text(json.dumps(record, indent=1), "utf-8")
    metric, _ = validation_metric("log_loss")
    print(f"model {family} {version}: {metric}={losses[max(losses)]:.5f};")


def _named(columns: tuple[str, ...], values: Floats) -> dict[str, float]:
    """Return values above 0 by column, the largest first."""
    ordered = sorted(zip(columns, values.tolist(), strict=True), key=lambda pair: -pair[1])
    return {name: value for name, value in ordered if value > 0}
