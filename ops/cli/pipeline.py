"""`run`: from raw plays to answers of the endpoint, on the emulator."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer  # noqa: TC002 - typer reads the annotations

from listening.resources import ready_for
from listening.systems import SYSTEMS
from ops import registry, runs, store
from ops.cli.asking import ASKING
from ops.cli.console import clock, say, say_json, say_metrics
from ops.cli.progress import CHECK, DOWN, FEATURES, TRAIN, UP, UPLOAD, Journey
from ops.cli.system import DEFAULT, SystemName
from ops.cli.target import Target
from ops.raw_folder import check_folder, upload_batch
from ops.world import write_sample, write_world

if TYPE_CHECKING:
    from ops.connection import Connection
    from ops.emulator import Emulator
    from ops.raw_folder import RawFolder

ASK = "ask the endpoint"
STEPS = (CHECK, UP, UPLOAD, FEATURES, TRAIN, ASK, DOWN)

SAMPLE_LISTENERS, WORLD_LISTENERS = 10_000, 2_000
"""How many are invented: with their favourite artists alone, or with a log of plays."""
EVENT_SECONDS = 60  # until an event has started what it starts
FEATURES_SECONDS = 2 * 60 * 60
TRAINING_SECONDS = 4 * 60 * 60


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run ends with.

    Parameters
    ----------
    features_run, bundle_version, champion
        What was made, and who answers now.
    published
        Whether the bundle just trained became the champion.
    reasons
        What the gate said.
    synthetic
        Whether the listeners are invented.
    metrics
        Of the bundle on its test split.
    answers
        What the endpoint says of a few test listeners, where the system can be asked from here.
    report
        Where the report lies.
    seconds
        How long all of it took.
    """

    features_run: str
    bundle_version: str
    champion: str
    published: bool
    reasons: list[str]
    synthetic: bool
    metrics: dict[str, Any]
    answers: list[Any]
    report: Path
    seconds: float = 0.0


def run(
    context: typer.Context,
    *,
    data: Annotated[
        Path | None, typer.Option(help="Folder of raw data; without it, listeners are invented.")
    ] = None,
    listeners: Annotated[
        int | None, typer.Option(help="How many listeners to invent, 500 to 320,000.")
    ] = None,
    system: SystemName = DEFAULT,
) -> None:
    """Go from raw plays to answers of the endpoint, on the emulator."""
    target = Target.of(context)
    emulator = target.emulator()
    journey = Journey(STEPS)
    if system not in ASKING:
        journey.leave_out(ASK)
    with journey.shown():
        with journey.step(CHECK):
            raw = _raw_data(emulator, data, listeners, journey, system=system)
        with journey.step(UP):
            connection = emulator.up(journey.tell, stays=False)
        try:
            report = emulator.state / "report.html"
            outcome = walk(connection, raw, journey, system=system, report=report)
        finally:
            with journey.step(DOWN):
                emulator.down()
    if target.as_json:
        say_json(outcome)
    else:
        _say(outcome, system=system, seconds=journey.seconds)


def _raw_data(
    emulator: Emulator, data: Path | None, listeners: int | None, journey: Journey, *, system: str
) -> RawFolder:
    if data is None:
        data = emulator.state / "sample"
        shutil.rmtree(data, ignore_errors=True)
        with_plays = "plays" in SYSTEMS[system].needs
        n = listeners or (WORLD_LISTENERS if with_plays else SAMPLE_LISTENERS)
        journey.tell(f"inventing {n:,} listeners in {data}")
        if with_plays:
            write_world(data, listeners=n)
        else:
            write_sample(data, listeners=n)
    raw = check_folder(data.resolve(), system=SYSTEMS[system])
    journey.tell(raw.summary)
    for warning in raw.warnings:
        journey.tell(warning)
    return raw


def walk(
    connection: Connection, raw: RawFolder, journey: Journey, *, system: str, report: Path
) -> Outcome:
    """Go from raw data to answers on an emulator that is up.

    Parameters
    ----------
    connection
        The emulator.
    raw
        What to learn from.
    journey
        Has the steps from `UPLOAD` to `ASK`.
    system
        Which one.
    report
        Where to copy the bundle's report to.

    Raises
    ------
    ResourceError
        A job failed; says which and why.
    """
    with journey.step(UPLOAD):
        before = set(runs.feature_run_ids(connection, system))
        journey.tell(f"batch {upload_batch(connection, raw, mark=ready_for(system))}")
    with journey.step(FEATURES):
        features = _build_features(connection, before, journey, system=system)
    with journey.step(TRAIN):
        made = features.step(SYSTEMS[system].features.name).id
        training = _train(connection, made, journey, system=system)
    version = str(training.output["bundle_version"])
    features_run = str(training.output["features_run"])
    answers: list[Any] = []
    if system in ASKING:
        with journey.step(ASK):
            answers = ASKING[system].ask_some(connection, features_run)
            journey.tell(f"{len(answers)} answers")
    champion = registry.champion(connection, system)
    store.fetch_report(connection, version, system=system, to=report)
    return Outcome(
        features_run=features_run,
        bundle_version=version,
        champion=champion,
        published=champion == version,
        reasons=list(training.output["reasons"]),
        synthetic=bool(training.output["synthetic"]),
        metrics=store.evaluation(connection, version, system=system)["metrics"],
        answers=answers,
        report=report,
        seconds=journey.seconds,
    )


def _build_features(
    connection: Connection, before: set[str], journey: Journey, *, system: str
) -> runs.Run:
    """Follow the workflow run that the arrival of the raw data started."""

    def newest() -> str | None:
        ids = runs.feature_run_ids(connection, system)
        return next((run for run in ids if run not in before), None)

    run_id = runs.wait_for(newest, what="a run of the feature workflow", seconds=EVENT_SECONDS)
    return journey.follow(
        lambda: runs.feature_run(connection, run_id, system=system), seconds=FEATURES_SECONDS
    )


def _train(connection: Connection, features_run: str, journey: Journey, *, system: str) -> runs.Run:
    """Follow the execution that the features run started."""
    arn = runs.wait_for(
        lambda: runs.training_run_of(connection, features_run, system=system),
        what=f"an execution of the training state machine on features run {features_run}",
        seconds=EVENT_SECONDS,
    )
    return journey.follow(
        lambda: runs.training_run(connection, arn, system=system), seconds=TRAINING_SECONDS
    )


def _say(outcome: Outcome, *, system: str, seconds: float) -> None:
    if system in ASKING:
        ASKING[system].say_some(outcome.answers, synthetic=outcome.synthetic)
    say_metrics(outcome.bundle_version, outcome.metrics, synthetic=outcome.synthetic)
    say(
        f"The bundle is the champion: the endpoint answers with {outcome.champion}."
        if outcome.published
        else f"The gate refused the bundle; the endpoint answers with {outcome.champion}."
    )
    for reason in outcome.reasons:
        say(f"  {reason}")
    say(f"Report: {outcome.report}")
    say(f"Took {clock(seconds)}. Nothing is left running; `listening up` brings it up again.")
