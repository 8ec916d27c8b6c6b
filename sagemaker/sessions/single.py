"""The tasks that train one model: of the length at a session's start, of the time that remains."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from hosts import Machine
from hyperparameters import overridden, refuse_unknown, seed_of
from listening.archive import ArchiveWriter
from listening.errors import DataError
from listening.intervals import bootstrap
from listening.sessions.bundle import COLUMNS, MODEL, REMAINING, START
from listening.sessions.forecast import LEVELS, remaining_seconds, seconds
from listening.systems import validation_metric
from sessions.clustering import find_clusters
from sessions.data import FeaturesManifest, Sessions, moments, read_sessions
from sessions.fitting import Data, Fitted, Recipe, fit, pinball

if TYPE_CHECKING:
    from pathlib import Path

    from job import Job
    from listening.sessions.clusters import Clusters
    from sessions.data import Floats, Integers, Moments

TRAINING = "training.json"
"""Beside the model in its archive: curve, importance, settings and what was decided."""

RECIPE = frozenset(field.name for field in fields(Recipe))
STANDARDISE = "standardise"
STANDARDISED = ("none", "small", "all")
LEARNING_RATE = 0.1
"""Of the model of what remains, unless it is given: there are more moments than sessions."""

AFTER = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233)
"""After how many plays what remains may be learned: farther apart the longer a session is, so that
a long one does not count as many times as it has plays."""
SHARE = 0.5
"""Of these moments, drawn whatever becomes of the session: as many of each would be more of short
sessions than of long ones after the first plays, and the forecast too short."""
FEWEST_SESSIONS = 2_000
"""Training sessions below which a cluster gets no model of its own."""
SMALL_CLUSTER = 200
"""Listeners up to which the recipe that is followed calls a cluster small."""


def train_start(job: Job) -> None:
    """Train the model of a session's length at its start, and those of clusters that are better.

    Channels: ``features`` (the manifest), ``train``, ``validation`` and ``profiles``.
    Hyperparameters: those of `fitting.Recipe`; ``standardise``: none, small (clusters of at most
    `SMALL_CLUSTER` listeners) or all.
    """
    refuse_unknown(job, {*RECIPE, STANDARDISE})
    manifest, train, validation, recipe = _given(job)
    seed, machine = seed_of(job), Machine(num_threads=job.num_threads)
    standardise = job.hyperparameters.get(STANDARDISE, STANDARDISED[0])
    if standardise not in STANDARDISED:
        raise DataError(
            f"hyperparameter '{STANDARDISE}' must be one of {', '.join(STANDARDISED)}, "
            f"not {standardise}"
        )
    clustering = find_clusters(_summaries(job.channel("profiles")), seed=seed)
    everyone = fit(
        Data(train.features, train.roots),
        Data(validation.features, validation.roots),
        recipe=recipe,
        seed=seed,
        machine=machine,
        standardise=standardise == "all",
    )
    chosen: dict[int, Fitted] = {}
    tried: list[dict[str, Any]] = []
    if len(clustering.clusters) > 1:
        chosen, tried = _of_clusters(
            clustering.clusters,
            train,
            validation,
            everyone,
            recipe=recipe,
            seed=seed,
            machine=machine,
            standardise=standardise,
        )
    archive = ArchiveWriter(job.model_folder)
    content = {
        "name": START,
        "trees": everyone.trees.write(archive, START),
        "of_cluster": {
            str(c): fitted.trees.write(archive, f"cluster-{c}") for c, fitted in chosen.items()
        },
        "clusters": clustering.clusters.to_json(),
        "everyone": np.quantile(train.length, LEVELS).round(3).tolist(),
    }
    loss = float(pinball(validation.length, seconds(everyone.validation)).mean())
    told = _told(START, everyone, recipe, len(train), loss)
    told |= {"clustering": clustering.to_json(), "cluster_models": tried}
    _finish(job, archive, content, told, manifest)


def train_remaining(job: Job) -> None:
    """Train the model of the time that remains after a play.

    Channels: ``features`` (the manifest), ``train`` and ``validation``. Hyperparameters: those of
    `fitting.Recipe`.
    """
    refuse_unknown(job, RECIPE)
    manifest, train, validation, recipe = _given(job, Recipe(learning_rate=LEARNING_RATE))
    rng = np.random.default_rng(seed_of(job))
    rows, held = (_some(moments(s, AFTER), rng) for s in (train, validation))
    fitted = fit(
        Data(rows.features, rows.gains),
        Data(held.features, held.gains),
        recipe=recipe,
        seed=seed_of(job),
        machine=Machine(num_threads=job.num_threads),
    )
    archive = ArchiveWriter(job.model_folder)
    content = {"name": REMAINING, "trees": fitted.trees.write(archive, REMAINING)}
    loss = float(pinball(held.remaining, remaining_seconds(fitted.validation, held.elapsed)).mean())
    told = _told(REMAINING, fitted, recipe, len(rows.session), loss)
    _finish(job, archive, content, told, manifest)


TASKS = {"sessions.start": train_start, "sessions.remaining": train_remaining}
"""By system and the name in its entry."""


def _given(
    job: Job, recipe: Recipe | None = None
) -> tuple[FeaturesManifest, Sessions, Sessions, Recipe]:
    return (
        FeaturesManifest.read(job.channel("features")),
        read_sessions(job.channel("train")),
        read_sessions(job.channel("validation")),
        overridden(recipe or Recipe(), job.hyperparameters),
    )


def _some(every: Moments, rng: np.random.Generator) -> Moments:
    return every.take(np.flatnonzero(rng.random(len(every.session)) < SHARE))


def _summaries(folder: Path) -> Floats:
    try:
        table = ds.dataset(folder, format="parquet").to_table(columns=["user_id", "summary"])
        return np.array(table.sort_by("user_id")["summary"].to_pylist(), dtype=np.float64)
    except (pa.ArrowInvalid, ValueError) as error:
        raise DataError(f"{folder}: not profiles of the job session_features ({error})") from error


def _of_clusters(  # noqa: PLR0913 - as `fit`
    clusters: Clusters,
    train: Sessions,
    validation: Sessions,
    everyone: Fitted,
    *,
    recipe: Recipe,
    seed: int,
    machine: Machine,
    standardise: str,
) -> tuple[dict[int, Fitted], list[dict[str, Any]]]:
    """Fit each cluster's own model; keep it where it is better on validation beyond chance."""
    of_train, of_validation = (clusters.nearest(s.summary) for s in (train, validation))
    kept: dict[int, Fitted] = {}
    tried: list[dict[str, Any]] = []
    for cluster in range(len(clusters)):
        rows, held = np.flatnonzero(of_train == cluster), np.flatnonzero(of_validation == cluster)
        listeners = len(np.unique(train.listener[rows]))
        told: dict[str, Any] = {
            "cluster": cluster,
            "listeners": listeners,
            "sessions": len(rows),
            "kept": False,
        }
        tried.append(told)
        if len(rows) < FEWEST_SESSIONS or len(held) < FEWEST_SESSIONS // 10:
            continue
        told["standardised"] = standardise == "all" or (
            standardise == "small" and listeners <= SMALL_CLUSTER
        )
        own = fit(
            Data(train.features[rows], train.roots[rows]),
            Data(validation.features[held], validation.roots[held]),
            recipe=recipe,
            seed=seed,
            machine=machine,
            standardise=told["standardised"],
        )
        length = validation.length[held]
        losses = {
            "own": pinball(length, seconds(own.validation)),
            "everyone": pinball(length, seconds(everyone.validation[held])),
        }
        difference = _difference(losses, validation.listener[held])
        told |= {name: float(values.mean()) for name, values in losses.items()}
        told["difference"] = difference
        told["kept"] = difference["high"] < 0
        if told["kept"]:
            kept[cluster] = own
    return kept, tried


def _difference(losses: dict[str, Floats], listener: Integers) -> dict[str, float]:
    """Return the mean of the first minus the second's, paired, drawing listeners."""
    _, place = np.unique(listener, return_inverse=True)
    sessions = np.bincount(place).astype(np.float64)
    sums = {n: np.column_stack([np.bincount(place, v), sessions]) for n, v in losses.items()}

    def mean(of: Floats, weights: Floats | None) -> dict[str, float]:
        loss, count = of.sum(axis=0) if weights is None else weights @ of
        return {"pinball": float(loss / count)}

    first, second = sums
    _, differences = bootstrap(sums, mean, against=[(first, second)])
    return differences[first, second]["pinball"].to_json()


def _told(name: str, fitted: Fitted, recipe: Recipe, rows: int, loss: float) -> dict[str, Any]:
    gains = sorted(zip(COLUMNS[name], fitted.importance, strict=True), key=lambda pair: -pair[1])
    return {
        "name": name,
        "rounds": list(fitted.rounds),
        "curve": fitted.curve,
        "importance": {feature: gain for feature, gain in gains if gain > 0},
        "recipe": vars(recipe),
        "rows": rows,
        "pinball": loss,
    }


def _finish(
    job: Job,
    archive: ArchiveWriter,
    content: dict[str, Any],
    told: dict[str, Any],
    manifest: FeaturesManifest,
) -> None:
    version = archive.finish(
        MODEL,
        content,
        created_from={"features_run": manifest.run},
        synthetic=manifest.synthetic,
    )
    (job.model_folder / TRAINING).write_text(json.dumps(told, indent=1), "utf-8")
    metric, _ = validation_metric("pinball")
    print(
        f"model {told['name']} {version}: {max(told['rounds'])} rounds; "
        f"{metric}={told['pinball']:.5f};"
    )
