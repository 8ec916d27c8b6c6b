"""The judge of sessions' bundles: puts an execution's models together and judges the forecasts."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from judgement import Judgement
from listening.archive import ArchiveWriter, load
from listening.errors import ArchiveError, DataError
from listening.sessions.bundle import BUNDLE, REMAINING, START, Parts, QuantileTrees, SessionsBundle
from listening.sessions.clusters import Clusters
from listening.sessions.recurrent_model import CONTENT, RecurrentModel
from sessions.data import FeaturesManifest, Sessions, read_sessions
from sessions.evaluation import Subject, evaluate
from sessions.model_card import model_card
from sessions.report import evaluation_json, report
from sessions.single import TRAINING

if TYPE_CHECKING:
    from pathlib import Path

    from job import Job
    from judgement import Case
    from listening.archive import Archive


def judge(case: Case) -> Judgement:
    """Write the bundle and judge it.

    Channels: ``features`` (the manifest), ``train``, ``validation``, ``test`` and ``held_out``.
    """
    job = case.job
    manifest = FeaturesManifest.read(job.channel("features"))
    models = _models(case.models, manifest)
    trainings = {name: _training(model) for name, model in models.items()}
    losses = {name: float(training["pinball"]) for name, training in trainings.items()}
    del losses[REMAINING]
    _write_bundle(job.model_folder, models, manifest, best=min(losses, key=lambda n: losses[n]))
    subject = Subject(
        manifest=manifest,
        bundle=SessionsBundle(load(job.model_folder)),
        train=read_sessions(job.channel("train")),
        validation=read_sessions(job.channel("validation")),
        test=read_sessions(job.channel("test")),
        held_out=_held_out(job),
        champion=_champion(case.champion),
    )
    evaluation = evaluate(subject)
    trees = {name: trainings[name] for name in (START, REMAINING)}
    return Judgement(
        version=subject.bundle.archive.version,
        metrics=evaluation.metrics,
        differences=evaluation.differences,
        against_champion=evaluation.against_champion,
        document=evaluation_json(subject, evaluation) | {"candidates": losses},
        report=partial(report, subject, evaluation, trees, losses),
        card=partial(model_card, subject, evaluation, trees),
    )


def _models(archives: tuple[Archive, ...], manifest: FeaturesManifest) -> dict[str, Archive]:
    """Return the models of this execution by name."""
    found = {str(archive.content.get("name")): archive for archive in archives}
    for name in (START, REMAINING):
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


def _write_bundle(
    folder: Path, models: dict[str, Archive], manifest: FeaturesManifest, *, best: str
) -> None:
    """Write the bundle with the best model of the length at the start, trees or a net."""
    start, remaining, net = models[START], models[REMAINING], models[best]
    try:
        parts = Parts(
            start=QuantileTrees.read(start, start.content["trees"]),
            remaining=QuantileTrees.read(remaining, remaining.content["trees"]),
            of_cluster={
                int(cluster): QuantileTrees.read(start, trees)
                for cluster, trees in start.content["of_cluster"].items()
            },
            clusters=Clusters.from_json(start.content["clusters"]),
            everyone=tuple(map(float, start.content["everyone"])),
            gap_s=manifest.gap_s,
            recurrent=None if best == START else RecurrentModel(net, net.content[CONTENT]).model,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArchiveError(f"{start.manifest}: not a trained model ({error!r})") from error
    archive = ArchiveWriter(folder)
    archive.finish(
        BUNDLE,
        parts.write(archive),
        created_from={
            "features_run": manifest.run,
            "sessions_run": manifest.document.get("sessions_run"),
            "models": {name: model.version for name, model in models.items()},
        },
        synthetic=manifest.synthetic,
        check=SessionsBundle,
    )


def _held_out(job: Job) -> Sessions | None:
    """Return the sessions of listeners that were held out; None where there are none."""
    sessions = read_sessions(job.channel("held_out"))
    return sessions if len(sessions) else None


def _champion(archive: Archive | None) -> SessionsBundle | None:
    """Return the champion, if it forecasts from the same features."""
    if archive is None:
        return None
    try:
        return SessionsBundle(archive)
    except ArchiveError as error:
        print(f"the champion cannot be compared with: {error}")
        return None


def _training(model: Archive) -> dict[str, Any]:
    path = model.folder / TRAINING
    try:
        told = dict(json.loads(path.read_bytes()))
        float(told["pinball"])
        return told
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArchiveError(f"{path}: not the record of a training ({error!r})") from error
