"""Commands that ask a champion: one listener, a folder of them, how good it is, and still is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer

from listening.errors import DataError, ResourceError
from listening.resources import PRIOR_VERSION
from listening.systems import SYSTEMS
from ops import registry, runs, store
from ops.cli.asking import ASKING, Asking
from ops.cli.console import say, say_json, say_metrics, say_table
from ops.cli.progress import CHECK, REACH, UPLOAD, Journey
from ops.cli.question import Question
from ops.cli.system import DEFAULT, SystemName
from ops.cli.target import Target
from ops.raw_folder import check_folder, upload_batch

SCORE = "score (Glue)"
COMPARE = "compare captured answers (Glue)"
FETCH = "fetch the scores"
SCORING_SECONDS = 4 * 60 * 60


def invoke(  # noqa: PLR0913 - the options of a command line
    context: typer.Context,
    *,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="An export of plays, a CSV of artists, or JSON for the endpoint; - for stdin."
        ),
    ] = None,
    artist: Annotated[
        list[str] | None,
        typer.Option(help="An artist, as NAME or NAME:PLAYS; again for each, most played first."),
    ] = None,
    k: Annotated[
        int | None, typer.Option("-k", min=1, help="How many of the likeliest; else 5.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Which artists drove it.")] = False,
    version: Annotated[str | None, typer.Option(help="Bundle version; else the champion.")] = None,
    now: Annotated[
        str | None, typer.Option(help="Sessions: the moment asked about, else the present.")
    ] = None,
    system: SystemName = DEFAULT,
) -> None:
    """Ask the endpoint about a listener."""
    question = Question(
        file=file, artist=tuple(artist or ()), k=k, explain=explain, now=now, version=version
    )
    _asking(system).invoke(Target.of(context), question)


def _asking(system: str) -> Asking:
    asking = ASKING.get(system)
    if asking is None:
        raise ResourceError(
            f"the command line cannot ask this of {system}: send the endpoint its own requests"
        )
    return asking


def score(  # noqa: PLR0913 - the options of a command line
    context: typer.Context,
    *,
    data: Annotated[Path, typer.Option(help="Folder of raw data; countries are not needed.")],
    out: Annotated[
        Path, typer.Option(dir_okay=False, help="Parquet file to write, one row a listener.")
    ],
    every: Annotated[bool, typer.Option("--all", help="All scores, beside the best.")] = False,
    at: Annotated[
        str | None,
        typer.Option(help="Sessions, churn: the moment or date to score at, else the log's end."),
    ] = None,
    system: SystemName = DEFAULT,
) -> None:
    """Score a folder of listeners with the champion, on Glue."""
    target = Target.of(context)
    job = SYSTEMS[system].job(runs.SCORING)
    arguments = dict(_asking(system).all_scores) if every else {}
    if at is not None:
        if "at" not in job.arguments:
            raise typer.BadParameter(f"--at is nothing that {system} is scored with")
        arguments["--at"] = at
    journey = Journey([CHECK, REACH, UPLOAD, SCORE, FETCH])
    if target.is_up:
        journey.leave_out(REACH)  # before steps are counted
    with journey.shown():
        with journey.step(CHECK):
            raw = check_folder(data.resolve(), system=SYSTEMS[system], labelled=False)
            journey.tell(raw.summary)
            for warning in raw.warnings:
                journey.tell(warning)
        with target.reached(journey) as connection:
            with journey.step(UPLOAD):
                batch = upload_batch(connection, raw, mark=None)
            with journey.step(SCORE):
                run = runs.start_job(
                    connection,
                    runs.SCORING,
                    system=system,
                    arguments={"--batch": batch, **arguments},
                )
                journey.follow(
                    lambda: runs.job_run(connection, run, system=system, job=runs.SCORING),
                    seconds=SCORING_SECONDS,
                )
            with journey.step(FETCH):
                table = store.scores(connection, run, system=system)
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, out)
    if target.as_json:
        say_json({"listeners": table.num_rows, "out": out, "run": run})
    else:
        say(f"{table.num_rows:,} listeners scored: {out}")


def report(
    context: typer.Context,
    *,
    version: Annotated[str | None, typer.Option(help="Bundle version; else the champion.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Where to; else report-<version>.html here."),
    ] = None,
    system: SystemName = DEFAULT,
) -> None:
    """Fetch a bundle's report and print its metrics."""
    target = Target.of(context)
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        version = version or registry.champion(connection, system)
        if version == PRIOR_VERSION:
            raise DataError(
                "the champion is the prior, which has no report: name a bundle of "
                "`listening models list` by --version, or train the first with "
                f"`listening run --system {system}`"
            )
        evaluation = store.evaluation(connection, version, system=system)
        path = out or Path(f"report-{version}.html")
        store.fetch_report(connection, version, system=system, to=path)
    if target.as_json:
        say_json({"report": path, "evaluation": evaluation})
        return
    say_metrics(version, evaluation["metrics"], synthetic=bool(evaluation.get("synthetic")))
    say(f"Report: {path}")


def drift(context: typer.Context, *, system: SystemName = DEFAULT) -> None:
    """Compare recent captured answers with those of the champion's test listeners, on Glue."""
    target = Target.of(context)
    with (
        Journey([REACH, COMPARE]).shown() as journey,
        target.reached(journey) as connection,
        journey.step(COMPARE),
    ):
        run = runs.start_drift(connection, system)
        journey.follow(
            lambda: runs.job_run(connection, run, system=system, job=runs.DRIFT),
            seconds=SCORING_SECONDS,
        )
        found = store.drift(connection, run, system=system)
    if target.as_json:
        say_json(found)
        return
    limits = found["parameters"]["limits"]
    say_table(
        f"Bundle {found['bundle_version']}: {found['listeners']:,} captured listeners beside "
        f"{found['reference_listeners']:,} of its test split",
        ["Measure", "Shift ", "Accepted ", ""],
        [
            (
                measure.replace("_", " "),
                f"{shift:.3f}",
                f"{limits[measure]:.3f}",
                "BREACH" if measure in found["breaches"] else "",
            )
            for measure, shift in found["shifts"].items()
        ],
    )
    least = found["parameters"]["least_listeners"]
    if found["listeners"] < least:
        say(f"Fewer than {least:,} listeners: nothing is called a breach.")
