"""The judge of churn's bundles: chooses a family for each horizon, and judges what they say."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from churn.data import read_snapshots
from churn.evaluation import Subject, choose, evaluate
from churn.fitting import fit_recency
from churn.model_card import model_card
from churn.peers import PEERS
from churn.report import evaluation_json, report
from churn.single import TRAINING, Given, said_to_choose
from judgement import Judgement
from listening.archive import ArchiveWriter, load
from listening.churn.bundle import BUNDLE, TENTHS, ChurnBundle, Horizon, Parts
from listening.churn.models import LOGISTIC, RECENCY, TREES, Calibrated
from listening.errors import ArchiveError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from churn.data import FeaturesManifest, Floats
    from judgement import Case
    from listening.archive import Archive


def judge(case: Case) -> Judgement:
    """Write the bundle and judge it.

    Channels: those of `Given`, and ``test``.
    """
    job, given = case.job, Given.of(case.job)
    manifest = given.manifest
    models = _models(case.models, manifest)
    chosen = {
        days: _horizon(models, place, days, given) for place, days in enumerate(manifest.horizons)
    }
    parts = Parts(
        horizons=tuple(horizon for horizon, _ in chosen.values()),
        devices=manifest.devices,
        bots_above=manifest.bots_above[int(given.everything.date.max())],
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
    rows = {
        "train": len(given.train),
        "validation": len(given.validation),
        "everything": len(given.everything),
        "test": len(test),
    }
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
    models: Mapping[str, Archive], place: int, days: int, given: Given
) -> tuple[Horizon, list[dict[str, Any]]]:
    """Return a horizon with the family that answers, and how each did where it was chosen."""
    everything, rows = given.everything, given.rows_to_choose(place)
    said = {RECENCY: said_to_choose(partial(fit_recency, place=place, days=days), given, place)}
    alone = fit_recency(everything, place, days)
    families = {RECENCY: alone}
    for name in (LOGISTIC, TREES):
        archive = models[name]
        try:
            risks = archive.array(archive.content["to_choose"][str(days)])
            document = archive.content["horizons"][str(days)]
        except (KeyError, TypeError) as error:
            raise ArchiveError(f"{archive.manifest}: no models in it ({error!r})") from error
        if len(risks) != len(rows):
            raise ArchiveError(
                f"{archive.manifest}: risks of {len(risks)} rows, there are {len(rows)}"
            )
        said[name] = np.asarray(risks)
        families[name] = Calibrated.read(archive, document, width=everything.rows.shape[1])
    chosen, found = choose(said, rows.gone[:, place], rows.listener)
    bounds = np.quantile(said[chosen], 1 - np.arange(1, TENTHS) / TENTHS)
    horizon = Horizon(
        days=days,
        model=families[chosen],
        recency=alone,
        base_rate=float(everything.gone[:, place].mean()),
        tenths=tuple(bounds.tolist()),
    )
    return horizon, [one | {"chosen": one["family"] == chosen} for one in found]


def _peers(archive: Archive | None, rows: int) -> dict[str, Floats]:
    """Return what the peers say of the test rows.

    Raises
    ------
    ArchiveError
        They say it of others.
    """
    if archive is None:
        return {}
    try:
        names = dict(archive.content["on_test"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArchiveError(f"{archive.manifest}: no predictions in it ({error!r})") from error
    found = {name: np.asarray(archive.array(file)) for name, file in names.items()}
    if any(len(said) != rows for said in found.values()):
        raise ArchiveError(f"{archive.manifest}: predictions of other rows than the {rows} of test")
    return found


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
