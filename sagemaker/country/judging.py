"""The judge of country's bundles: chains an execution's models, calibrates and evaluates them."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from country.calibration import fit_calibration
from country.chained import ChainScores, chain_tasks
from country.evaluation import Subject, evaluate
from country.evaluation_json import evaluation_json
from country.features import FeaturesManifest, read_listeners, read_plays
from country.fitting import Training, flat_task
from country.held_out import HeldOut
from country.model_card import model_card
from country.report import report
from country.single import TRAINING
from judgement import Judgement
from listening.country import artist_index
from listening.country.artist_table import read_artist_table
from listening.country.bundle import (
    About,
    Bundle,
    CountryArchive,
    SingleModel,
    TrainedModel,
    load,
    read,
    write_bundle,
)
from listening.country.predictor import load_model
from listening.errors import ArchiveError, DataError, LayoutError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from country.features import Listeners
    from country.recipe import Recipe
    from judgement import Case
    from listening.archive import Archive
    from listening.country.artist_table import ArtistTable
    from listening.country.model_spec import ModelSpec

MIN_LISTENERS = "gate_min_listeners"
"""Hyperparameter: countries with fewer test listeners are not compared with the champion on."""


def judge(case: Case) -> Judgement:
    """Write the bundle and the index of its artists, and judge the bundle.

    Channels: ``features`` (the manifest), ``artists``, ``train``, ``validation``, ``test`` and
    ``plays`` (the test listeners' cleaned plays).
    """
    job = case.job
    least = _least_listeners(job.hyperparameters)
    manifest = FeaturesManifest.read(job.channel("features"))
    artists = read_artist_table(job.channel("artists"), manifest.document)
    singles = _singles(case.models, manifest)
    trainings = {name: _training(single) for name, single in singles.items()}
    train = read_listeners(job.channel("train"), manifest.layout)
    validation = read_listeners(job.channel("validation"), manifest.layout)
    chain = calibrated_chain(manifest, singles, trainings["region"].recipe, train, validation)
    _write_bundle(job.model_folder, manifest, singles, chain, artists)
    subject = Subject(
        manifest=manifest,
        bundle=_bundle(load(job.model_folder)),
        flat=load_model(singles["flat"], singles["flat"].model),
        train=train,
        validation=validation,
        test=read_listeners(job.channel("test"), manifest.layout),
        plays=read_plays(job.channel("plays")),
        artists=artists,
        trainings=trainings,
        champion=_bundle(read(case.champion)) if case.champion else None,
        gate_min_listeners=least,
    )
    if subject.test.user_ids.tolist() != subject.plays.user_ids.tolist():
        raise DataError(
            "channels 'test' and 'plays' hold different listeners; both must be of features "
            f"run {manifest.run}"
        )
    evaluation = evaluate(subject)
    document = evaluation_json(subject, evaluation)
    artist_index.write_artist_index(artists, job.output_folder / artist_index.FOLDER)
    return Judgement(
        version=subject.bundle.version,
        metrics=document["metrics"],
        differences=evaluation.differences,
        against_champion=evaluation.against_champion,
        document=document,
        report=partial(report, subject, evaluation),
        card=partial(model_card, subject, evaluation),
        rules={MIN_LISTENERS: least},
    )


def _least_listeners(hyperparameters: Mapping[str, str]) -> int:
    text = hyperparameters.get(MIN_LISTENERS, "1")
    if not text.isdigit() or int(text) < 1:
        raise DataError(f"hyperparameter '{MIN_LISTENERS}' must be 1 or more, got '{text}'")
    return int(text)


def _singles(models: tuple[Archive, ...], manifest: FeaturesManifest) -> dict[str, SingleModel]:
    """Return the models of this execution by name."""
    found: dict[str, SingleModel] = {}
    for archive in models:
        single = read(archive)
        if not isinstance(single, SingleModel):
            raise ArchiveError(f"{archive.folder}: a {archive.kind}, expected a single model")
        if single.layout != manifest.layout:
            raise LayoutError(
                f"{archive.folder}: model '{single.model.name}' was trained on another feature "
                f"layout than features run {manifest.run} has; train all models on one features run"
            )
        found[single.model.name] = single
    tasks = chain_tasks(manifest.regions, manifest.train_counts)
    tasks.append(flat_task(manifest.regions, manifest.train_counts))
    for task in tasks:
        if task.name not in found:
            raise DataError(
                f"channel 'models' has no model '{task.name}'; it has "
                f"{', '.join(sorted(found)) or 'none'}: train it in the same execution"
            )
        if set(found[task.name].model.classes) != set(task.classes):
            raise DataError(
                f"model '{task.name}' was trained for other classes than features run "
                f"{manifest.run} has; train all models on one features run"
            )
    return {task.name: found[task.name] for task in tasks}


def calibrated_chain(
    manifest: FeaturesManifest,
    singles: Mapping[str, SingleModel],
    recipe: Recipe,
    train: Listeners,
    validation: Listeners,
) -> list[ModelSpec]:
    """Return the region model and the country models, calibrated together.

    One scale and one noise for the whole chain are fitted on listeners of all regions, whatever
    each model was given for itself as a target of its own: see `chained.ChainScores`.
    """
    tasks = chain_tasks(manifest.regions, manifest.train_counts)
    models = [load_model(singles[task.name], singles[task.name].model) for task in tasks]
    listeners = HeldOut.of(train, validation, [model.spec for model in models])
    scores = ChainScores.held_out(models, tasks, listeners)
    true = flat_task(manifest.regions, manifest.train_counts).labels(listeners.countries)
    calibration = fit_calibration(
        scores.log_of(true), power=recipe.prior_power, noisy=recipe.label_noise == "yes"
    )
    return scores.specs(calibration)


def _write_bundle(
    folder: Path,
    manifest: FeaturesManifest,
    singles: Mapping[str, SingleModel],
    chain: list[ModelSpec],
    artists: ArtistTable,
) -> None:
    total = sum(manifest.train_counts.values())
    write_bundle(
        folder,
        About(
            layout=manifest.layout,
            regions=manifest.regions,
            countries=manifest.countries,
            created_from={
                "features_run": manifest.run,
                "embeddings_run": manifest.document.get("embeddings_run"),
                "models": {name: single.version for name, single in singles.items()},
            },
            synthetic=manifest.synthetic,
        ),
        models=[TrainedModel(spec, _text(singles[spec.name])) for spec in chain],
        artists=artists,
        prior={code: manifest.train_counts[code] / total for code in manifest.regions.region_of},
    )


def _text(single: SingleModel) -> str | None:
    return single.text(single.model)


def _training(single: SingleModel) -> Training:
    path = single.archive.folder / TRAINING
    try:
        return Training.from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path}: not the record of a training ({error!r})") from error


def _bundle(archive: CountryArchive) -> Bundle:
    if not isinstance(archive, Bundle):
        raise ArchiveError(f"{archive.archive.folder}: a {archive.archive.kind}, expected a bundle")
    return archive
