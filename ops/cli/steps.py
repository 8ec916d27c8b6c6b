"""Commands that do one stage of the way by hand: features, training, their logs."""

from __future__ import annotations

from typing import Annotated

import typer

from listening.systems import SYSTEMS
from ops import job_logs, runs, store
from ops.cli.console import clock, say, say_json
from ops.cli.pipeline import FEATURES_SECONDS, TRAINING_SECONDS
from ops.cli.progress import FEATURES, REACH, TRAIN, Journey
from ops.cli.system import DEFAULT, SystemName
from ops.cli.target import Target

features = typer.Typer(no_args_is_help=True, help="The feature workflow.")
train = typer.Typer(no_args_is_help=True, help="The training state machine.")


@features.command("run")
def features_run(context: typer.Context, *, system: SystemName = DEFAULT) -> None:
    """Build features from the last batch; their success starts the training."""
    target = Target.of(context)
    connection = target.connect()
    with Journey([FEATURES]).shown() as journey, journey.step(FEATURES):
        started = runs.start_features(connection, system)
        run = journey.follow(
            lambda: runs.feature_run(connection, started, system=system),
            seconds=FEATURES_SECONDS,
        )
    if target.as_json:
        say_json(run)
    else:
        made = run.step(SYSTEMS[system].features.name)
        say(f"Features run {made.id}, in {clock(run.seconds)}; training starts now.")


@train.command("run")
def train_run(
    context: typer.Context,
    *,
    run: Annotated[
        str | None, typer.Option("--features", help="Features run; else the last.")
    ] = None,
    system: SystemName = DEFAULT,
) -> None:
    """Train, assemble and judge a bundle; publish it if the gate approves."""
    target = Target.of(context)
    connection = target.connect()
    with Journey([TRAIN]).shown() as journey, journey.step(TRAIN):
        on = run or store.latest_features_run(connection, system)
        store.features_manifest(connection, on, system=system)
        journey.tell(f"features run {on}")
        arn = runs.start_training(connection, on, system=system)
        done = journey.follow(
            lambda: runs.training_run(connection, arn, system=system), seconds=TRAINING_SECONDS
        )
    if target.as_json:
        say_json(done)
        return
    output = done.output
    say(f"Bundle {output['bundle_version']}: {output['decision']}, in {clock(done.seconds)}.")
    for reason in output["reasons"]:
        say(f"  {reason}")


def logs(
    context: typer.Context,
    *,
    of: Annotated[str, typer.Argument(help="A job of the system, training or endpoint.")],
    run: Annotated[
        str | None, typer.Option(help="Glue run id or training job name; else the last.")
    ] = None,
    lines: Annotated[int, typer.Option(help="How many, from the end.", min=1)] = 50,
    system: SystemName = DEFAULT,
) -> None:
    """Print the end of the logs of a job or of the endpoint."""
    target = Target.of(context)
    sources = job_logs.sources(system)
    if of not in sources:
        raise typer.BadParameter(f"'{of}' is none of {', '.join(sources)}")
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        found = job_logs.last_lines(connection, of, system=system, run=run, lines=lines)
    if target.as_json:
        say_json(found)
        return
    for line in found:
        say(line)
