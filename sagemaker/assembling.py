"""The task of every system that makes a bundle of an execution's models, judges it and decides."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gate import decide, gate_of
from hyperparameters import refuse_unknown
from judgement import Case
from listening.archive import PRIOR, Archive, load, unpack
from listening.errors import DataError
from listening.resources import EVALUATION, REPORT
from listening.systems import GATE_METRICS

if TYPE_CHECKING:
    from gate import Decision
    from job import Job
    from judgement import Judge, Judgement
    from listening.systems import System

CARD = "model_card.json"


def assemble(job: Job, *, system: System, judge: Judge) -> None:
    """Write the bundle, and its evaluation, report and model card.

    Channels: those of the system's entry, ``models`` (every archive that this execution trained,
    if it trains any) and ``champion`` (the archive that is served now).

    Parameters
    ----------
    job
        The training job.
    system
        Whose bundle.
    judge
        Who judges it.

    Raises
    ------
    DataError
        A hyperparameter is unknown, or a channel cannot be worked with.
    """
    refuse_unknown(job, (GATE_METRICS, *system.assemble_hyperparameters))
    gate = gate_of(system.gate, job.hyperparameters)
    with tempfile.TemporaryDirectory() as scratch:
        champion = _champion(job, Path(scratch) / "champion")
        models = _models(job, Path(scratch) / "models") if system.train else ()
        judgement = judge(Case(job=job, models=models, champion=champion))
        decision = decide(
            gate,
            differences=judgement.differences,
            against_champion=judgement.against_champion,
            champion=champion.version if champion else None,
            rules=judgement.rules,
        )
        _write(job, judgement, decision)
    for metric in system.gate.metrics:
        print(f"test:{metric.name}={judgement.metrics[metric.name]:.5f}")


def _models(job: Job, folder: Path) -> tuple[Archive, ...]:
    """Return the archives of this execution, each unpacked into a folder named as its own."""
    channel, found = job.channel("models"), []
    for archive in sorted(channel.rglob("model.tar.gz")):
        place = folder / archive.relative_to(channel).parent
        unpack(archive, place)
        found.append(load(place))
    return tuple(found)


def _champion(job: Job, folder: Path) -> Archive | None:
    archives = sorted(job.channel("champion").rglob("*.tar.gz"))
    if not archives:
        raise DataError("channel 'champion' has no archive; it must hold endpoint/<champion>/…")
    unpack(archives[0], folder)
    champion = load(folder)
    return None if champion.kind.endswith(f".{PRIOR}") else champion


def _write(job: Job, judgement: Judgement, decision: Decision) -> None:
    document = {**judgement.document, "gate": decision.to_json()}
    card = json.dumps(judgement.card(decision), indent=1, ensure_ascii=False)
    job.output_folder.mkdir(parents=True, exist_ok=True)
    (job.output_folder / EVALUATION).write_text(json.dumps(document, indent=1), "utf-8")
    (job.output_folder / REPORT).write_text(judgement.report(decision), "utf-8")
    for folder in (job.output_folder, job.model_folder):
        (folder / CARD).write_text(card, "utf-8")
    print(f"bundle {judgement.version}: {decision.verdict}")
