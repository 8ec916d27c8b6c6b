"""The tasks that train one model: region, one region's countries, flat."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from country.features import FeaturesManifest, read_listeners
from country.fitting import Fitted, Task, country_task, fit, flat_task, region_task
from country.recipe import SETTINGS, recipe_for
from hosts import Machine, network
from hyperparameters import refuse_unknown, seed_of
from listening.country.bundle import About, write_single
from listening.errors import DataError
from listening.regions import RegionTable
from listening.systems import validation_metric

if TYPE_CHECKING:
    from job import Job

TRAINING = "training.json"
"""Beside the model in its archive: curve, importance, settings and listeners."""

LOSS = "log_loss"
"""The metric that these tasks minimise, as their entries say."""


def train_region(job: Job) -> None:
    """Train the region model.

    Channels: ``features`` (the features run's manifest), ``train`` and ``validation`` (the splits'
    listeners).
    """
    manifest = _manifest(job)
    _train(job, manifest, region_task(manifest.regions, manifest.train_counts), manifest.regions)


def train_flat(job: Job) -> None:
    """Train the flat model over all countries, which the chain is judged against.

    Channels as for `train_region`.
    """
    manifest = _manifest(job)
    _train(job, manifest, flat_task(manifest.regions, manifest.train_counts), manifest.regions)


def train_country(job: Job) -> None:
    """Train the country model of the region in hyperparameter ``item``.

    Channels as for `train_region`, with that region's listeners only.
    """
    manifest = _manifest(job)
    slug = job.hyperparameters.get("item")
    if slug is None:
        raise DataError("hyperparameter 'item' is missing: name the region by its slug")
    region = manifest.regions[slug]
    _train(job, manifest, country_task(region, manifest.train_counts), RegionTable((region,)))


TASKS = {
    "country.region": train_region,
    "country.country": train_country,
    "country.flat": train_flat,
}
"""By system and the name in its entry."""


def _manifest(job: Job) -> FeaturesManifest:
    refuse_unknown(job, SETTINGS)
    return FeaturesManifest.read(job.channel("features"))


def _train(job: Job, manifest: FeaturesManifest, task: Task, regions: RegionTable) -> None:
    recipe = recipe_for(
        task.level,
        listeners=int(task.counts.sum()),
        effective_classes=task.effective_classes,
        hyperparameters=job.hyperparameters,
    )
    fitted = fit(
        task,
        read_listeners(job.channel("train"), manifest.layout),
        read_listeners(job.channel("validation"), manifest.layout),
        layout=manifest.layout,
        recipe=recipe,
        seed=seed_of(job),
        machine=Machine(num_threads=job.num_threads, network=network(job)),
    )
    if not job.leads:
        return  # every host ends with the same trees; SageMaker packs what all hosts wrote
    about = About(
        layout=manifest.layout,
        regions=regions,
        countries={code: manifest.countries[code] for code in regions.region_of},
        created_from={"features_run": manifest.run},
        synthetic=manifest.synthetic,
    )
    version = write_single(job.model_folder, about, fitted.model)
    (job.model_folder / TRAINING).write_text(
        json.dumps(fitted.training.to_json(), indent=1), "utf-8"
    )
    print(_told(fitted, version))


def _told(fitted: Fitted, version: str) -> str:
    """Return the log line that SageMaker reads the metric from."""
    spec = fitted.model.spec
    return (
        f"model {spec.name} {version}: {spec.rounds} rounds; "
        f"{validation_metric(LOSS)[0]}={fitted.training.log_loss:.5f};"
    )
