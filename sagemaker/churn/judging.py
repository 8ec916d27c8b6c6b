"""The judge of churn's bundles: chooses a family for each horizon, and judges what they say."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from churn.data import FeaturesManifest, read_snapshots
from churn.evaluation import Subject, choose, evaluate
from churn.fitting import fit_recency
from churn.model_card import model_card
from churn.peers import PEERS, predictions_of_test
from churn.report import evaluation_json, report
from churn.single import TRAINING
from judgement import Judgement
from listening.archive import ArchiveWriter, load
from listening.churn.bundle import BUNDLE, TENTHS, ChurnBundle, Horizon, Parts
from listening.churn.models import FAMILIES, LOGISTIC, RECENCY, TREES, Calibrated, probability
from listening.errors import ArchiveError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from churn.data import Snapshots
    from judgement import Case
    from listening.archive import Archive


def judge(case: Case) -> Judgement:
    """Write the bundle and judge it.

    Channels: ``features`` (the manifest), ``train``, ``validation`` and ``test``.
    """
    job = case.job
    manifest = FeaturesManifest.read(job.channel("features"))
    models = _models(case.models, manifest)
    train, validation = (
        one.take(~one.is_bot)
        for one in (read_snapshots(job.channel(name), manifest) for name in ("train", "validation"))
    )
    chosen = {
        days: _horizon(models, place, days, train, validation)
        for place, days in enumerate(manifest.horizons)
    }
    parts = Parts(
        horizons=tuple(horizon for horizon, _ in chosen.values()),
        devices=manifest.devices,
        bots_above=manifest.bots_above[int(train.date.max())],
    )
    archive = ArchiveWriter(job.model_folder)
    archive.finish(
        BUNDLE,
        parts.write(archive),
        created_from={
            "features_run": manifest.run,
            "activity_run": manifest.document.get("activity_run"),
            "models": {name: model.version for name, model in models.items()},
        },
        synthetic=manifest.synthetic,
        check=ChurnBundle,
    )
    test = read_snapshots(job.channel("test"), manifest)
    subject = Subject(
        manifest=manifest,
        bundle=ChurnBundle(load(job.model_folder)),
        test=test,
        peers=_peers(models.get(PEERS), len(test)),
        champion=_champion(case.champion, manifest.horizons[-1]),
    )
    evaluation = evaluate(subject)
    trainings = {name: _training(model) for name, model in models.items()}
    choices = {days: tried for days, (_, tried) in chosen.items()}
    rows = {"train": len(train), "validation": len(validation), "test": len(test)}
    return Judgement(
        version=subject.bundle.archive.version,
        metrics=evaluation.metrics,
        differences=evaluation.differences,
        against_champion=evaluation.against_champion,
        document=evaluation_json(subject, evaluation, choices, rows),
        report=partial(report, subject, evaluation, trainings, choices, rows),
        card=partial(model_card, subject, evaluation, trainings, rows),
    )


def _models(archives: tuple[Archive, ...], manifest: FeaturesManifest) -> dict[str, Archive]:
    """Return what this execution trained, by name."""
    found = {str(archive.content.get("name")): archive for archive in archives}
    for name in (TREES, LOGISTIC):
        if name not in found:
            raise DataError(
                f"channel 'models' has no model '{name}'; it has "
                f"{', '.join(sorted(found)) or 'none'}: train it in the same execution"
            )
    for name, archive in found.items():
        run = archive.created_from.get("features_run")
        if run != manifest.run:
            raise DataError(
                f"model '{name}' was trained on features run {run}, not on {manifest.run}; train "
                "all models on one features run"
            )
    return found


def _horizon(
    models: Mapping[str, Archive], place: int, days: int, train: Snapshots, validation: Snapshots
) -> tuple[Horizon, list[dict[str, Any]]]:
    """Return a horizon with the family that is best on validation, and how each did there."""
    width = train.rows.shape[1]
    alone = fit_recency(train, place, days)
    families = {RECENCY: alone}
    for name in (LOGISTIC, TREES):
        document = models[name].content.get("horizons", {}).get(str(days))
        families[name] = Calibrated.read(models[name], document, width=width)
    said = {name: probability(families[name].log_odds(validation.rows)) for name in FAMILIES}
    chosen, tried = choose(said, validation.gone[:, place], validation.listener)
    bounds = np.quantile(said[chosen], 1 - np.arange(1, TENTHS) / TENTHS)
    horizon = Horizon(
        days=days,
        model=families[chosen],
        recency=alone,
        base_rate=float(train.gone[:, place].mean()),
        tenths=tuple(bounds.tolist()),
    )
    return horizon, [one | {"chosen": one["family"] == chosen} for one in tried]


def _peers(archive: Archive | None, rows: int) -> dict[str, Any]:
    """Return what the peers say of the test rows.

    Raises
    ------
    ArchiveError
        They say it of others.
    """
    if archive is None:
        return {}
    try:
        found = predictions_of_test(archive.content, archive.array)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ArchiveError(f"{archive.manifest}: no predictions in it ({error!r})") from error
    if any(len(said) != rows for said in found.values()):
        raise ArchiveError(f"{archive.manifest}: predictions of other rows than the {rows} of test")
    return dict(found)


def _champion(archive: Archive | None, days: int) -> ChurnBundle | None:
    """Return the champion, if it reads the same features and knows the longest horizon."""
    if archive is None:
        return None
    try:
        found = ChurnBundle(archive)
    except ArchiveError as error:
        print(f"the champion cannot be compared with: {error}")
        return None
    if days in [horizon.days for horizon in found.horizons]:
        return found
    print(f"the champion cannot be compared with: it says nothing of {days} days")
    return None


def _training(model: Archive) -> dict[str, Any]:
    path = model.folder / TRAINING
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise ArchiveError(f"{path}: not the record of a training ({error!r})") from error
