"""The tasks that fit one family for every horizon: trees and logistic regression."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from churn.data import FeaturesManifest, Snapshots, read_snapshots
from churn.fitting import Recipe, fit_logistic, fit_trees
from hosts import Machine
from hyperparameters import check_ranges, overridden, refuse_unknown, seed_of
from listening.archive import ArchiveWriter
from listening.churn.bundle import MODEL
from listening.churn.models import LOGISTIC, TREES, Logistic, probability
from listening.systems import validation_metric

if TYPE_CHECKING:
    from churn.data import Floats
    from job import Job
    from listening.churn.models import Calibrated

TRAINING = "training.json"
"""Beside the models in their archive: curves, importance, settings and losses on validation."""
RECIPE = frozenset(field.name for field in fields(Recipe))


@dataclass(frozen=True)
class Penalty:
    """Of logistic regression: what squared coefficients cost, in log loss of a row."""

    penalty: float = 30.0

    def __post_init__(self) -> None:
        """Refuse a value outside its range."""
        check_ranges(self, {"penalty": self.penalty > 0})


def train_trees(job: Job) -> None:
    """Fit trees for every horizon.

    Channels: ``features`` (the manifest), ``train`` and ``validation``. Hyperparameters: those of
    `fitting.Recipe`.
    """
    refuse_unknown(job, RECIPE)
    given = _Given.of(job)
    recipe = overridden(Recipe(), job.hyperparameters)
    grown = {
        days: fit_trees(
            given.train,
            place,
            days,
            columns=given.manifest.columns,
            recipe=recipe,
            seed=seed_of(job),
            machine=Machine(num_threads=job.num_threads),
        )
        for place, days in enumerate(given.manifest.horizons)
    }
    told = {
        "recipe": vars(recipe),
        "rounds": {days: one.rounds for days, one in grown.items()},
        "curve": {days: one.curve for days, one in grown.items()},
        "importance": {
            days: _named(given.manifest.columns, one.importance) for days, one in grown.items()
        },
    }
    _finish(job, TREES, {days: one.model for days, one in grown.items()}, told, given)


def train_logistic(job: Job) -> None:
    """Fit logistic regression for every horizon.

    Channels as `train_trees`. Hyperparameters: those of `Penalty`.
    """
    refuse_unknown(job, [field.name for field in fields(Penalty)])
    given = _Given.of(job)
    settings = overridden(Penalty(), job.hyperparameters)
    models = {
        days: fit_logistic(given.train, place, days, penalty=settings.penalty)
        for place, days in enumerate(given.manifest.horizons)
    }
    columns = given.manifest.columns
    told = {
        "recipe": vars(settings),
        "importance": {days: _named(columns, _size(model)) for days, model in models.items()},
    }
    _finish(job, LOGISTIC, models, told, given)


TASKS = {"churn.trees": train_trees, "churn.logistic": train_logistic}
"""By system and the name in its entry."""


@dataclass(frozen=True)
class _Given:
    """What a task learns from: both splits without bots."""

    manifest: FeaturesManifest
    train: Snapshots
    validation: Snapshots

    @classmethod
    def of(cls, job: Job) -> _Given:
        manifest = FeaturesManifest.read(job.channel("features"))
        splits = (read_snapshots(job.channel(name), manifest) for name in ("train", "validation"))
        return cls(manifest, *(one.take(~one.is_bot) for one in splits))


def _size(model: Calibrated) -> tuple[float, ...]:
    """Return the sizes of the coefficients of standardised columns."""
    assert isinstance(model.model, Logistic)
    return tuple(np.abs(model.slope * model.model.coefficients).tolist())


def _named(columns: tuple[str, ...], values: tuple[float, ...]) -> dict[str, float]:
    """Return values above 0 by column, the largest first."""
    ordered = sorted(zip(columns, values, strict=True), key=lambda pair: -pair[1])
    return {name: value for name, value in ordered if value > 0}


def log_loss(gone: np.ndarray[Any, np.dtype[np.bool_]], risk: Floats) -> Floats:
    """Return the log loss of each row, (n,)."""
    right = np.where(gone, risk, 1 - risk)
    return np.asarray(-np.log(right.clip(1e-12)))


def _finish(
    job: Job, family: str, models: dict[int, Calibrated], told: dict[str, Any], given: _Given
) -> None:
    manifest, asked = given.manifest, given.validation
    archive = ArchiveWriter(job.model_folder)
    content = {
        "name": family,
        "horizons": {
            str(days): model.write(archive, f"{family}-{days}") for days, model in models.items()
        },
    }
    version = archive.finish(
        MODEL, content, created_from={"features_run": manifest.run}, synthetic=manifest.synthetic
    )
    losses = {}
    for place, (days, model) in enumerate(models.items()):
        risk = probability(model.log_odds(asked.rows))
        losses[days] = float(log_loss(asked.gone[:, place], risk).mean())
    told |= {"name": family, "rows": len(given.train), "log_loss": losses}
    (job.model_folder / TRAINING).write_text(json.dumps(told, indent=1), "utf-8")
    metric, _ = validation_metric("log_loss")
    print(f"model {family} {version}: {metric}={losses[max(losses)]:.5f};")
