"""Commands that bring the emulator up and down."""

from __future__ import annotations

import signal
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from ops import registry, runs
from ops.cli.console import clock, say, say_json, say_table
from ops.cli.progress import DOWN, UP, Journey
from ops.cli.target import Target
from ops.country.page import EnvironmentSource, serving

if TYPE_CHECKING:
    from ops.connection import Connection

RUNS_SHOWN = 3  # of each kind and system


def up(
    context: typer.Context,
    *,
    page: Annotated[
        bool, typer.Option("--page", help="Serve the page to ask in until Ctrl-C, too.")
    ] = False,
) -> None:
    """Bring the emulator up as it was when it stopped."""
    target = Target.of(context)
    if page:
        _serve_page(target)
        return
    emulator = target.emulator()
    with Journey([UP]).shown() as journey, journey.step(UP):
        connection = emulator.up(journey.tell)
    if target.as_json:
        say_json({"endpoint_url": connection.endpoint_url, "state": emulator.state})
        return
    say(f"The emulator is up at {connection.endpoint_url}; `listening down` stops it.")


def _serve_page(target: Target) -> None:
    """Serve the page until Ctrl-C; the emulator goes down with it if it was down before."""
    emulator = target.emulator()
    with ExitStack() as stack:
        with Journey([UP]).shown() as journey, journey.step(UP):
            connection = stack.enter_context(emulator.running(journey.tell))
        source = EnvironmentSource(connection)
        address = stack.enter_context(serving(source, web=emulator.project / "web"))
        if target.as_json:
            say_json({"endpoint_url": connection.endpoint_url, "page": address})
        else:
            say(f"The page is at {address}; Ctrl-C stops it.")
        sys.stdout.flush()
        _wait_for_the_end()


def _wait_for_the_end() -> None:
    """Wait for Ctrl-C or SIGTERM; after the first, each ends the process as usual."""
    end = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: end.set()) for number in numbers}
    end.wait()
    for number, handler in before.items():
        signal.signal(number, handler)


def down(context: typer.Context) -> None:
    """Stop the emulator; what it holds is kept for the next `up`."""
    target = Target.of(context)
    with Journey([DOWN]).shown() as journey, journey.step(DOWN):
        was_up = target.emulator().down()
    if target.as_json:
        say_json({"was_up": was_up})
        return
    say("The emulator is stopped." if was_up else "The emulator was not running.")


def status(context: typer.Context) -> None:
    """Show each system that is deployed, its champion and its last runs."""
    target = Target.of(context)
    if not target.is_aws and target.emulator().endpoint() is None:
        has_snapshot = target.emulator().has_snapshot
        if target.as_json:
            say_json({"up": False, "has_snapshot": has_snapshot})
            return
        say(
            "The emulator is down. "
            + ("`listening up` brings it up again." if has_snapshot else "`make run` fills it.")
        )
        return
    connection = target.connect()
    champions = registry.champions(connection)
    recent = {system: _recent_runs(connection, system) for system in champions}
    if target.as_json:
        say_json(
            {
                "up": True,
                "endpoint_url": connection.endpoint_url,
                "environment": connection.environment,
                "systems": {
                    system: {"champion": champion, "runs": recent[system]}
                    for system, champion in champions.items()
                },
            }
        )
        return
    say(f"Environment {connection.environment}.")
    for system, champion in champions.items():
        say_table(
            f"{system}: champion {champion}, last runs",
            ["Run", "State", "Started", "Took ", "Jobs"],
            [
                (
                    run.kind,
                    run.state.lower(),
                    f"{run.started:%Y-%m-%d %H:%M}",
                    clock(run.seconds),
                    _summary(run),
                )
                for run in recent[system]
            ],
        )
    say("`listening status --json` has the ids of runs and jobs.")


def _recent_runs(connection: Connection, system: str) -> list[runs.Run]:
    features = runs.feature_run_ids(connection, system)[:RUNS_SHOWN]
    training = runs.training_run_ids(connection, system)[:RUNS_SHOWN]
    return [
        *(runs.feature_run(connection, run, system=system) for run in features),
        *(runs.training_run(connection, run, system=system) for run in training),
    ]


def _summary(run: runs.Run) -> str:
    """Return how many jobs are in which state, and the names of those that failed."""
    counts = Counter(step.state for step in run.steps)
    failed = [step.name for step in run.steps if step.state == runs.FAILED]
    parts = [f"{count} {state.lower()}" for state, count in counts.items()]
    return ", ".join(parts) + (f": {', '.join(failed)}" if failed else "")
