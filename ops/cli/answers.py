"""Commands that ask the champion: one listener, a folder of them, how good it is, and still is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer

from listening.errors import DataError
from listening.resources import PRIOR_VERSION
from ops import runs, store
from ops.cli.console import say, say_json, say_metrics, say_table
from ops.cli.progress import REACH, Journey
from ops.cli.target import Target
from ops.country.client import Answer, Artist, CountryClient, Listener, read_listener
from ops.raw_folder import check_folder, upload_batch

CHECK = "check the data"
UPLOAD = "upload the raw data"
SCORE = "score (Glue)"
COMPARE = "compare captured answers (Glue)"
FETCH = "fetch the scores"
SCORING_SECONDS = 4 * 60 * 60


def invoke(  # noqa: PLR0913 - the options of a command line
    context: typer.Context,
    *,
    file: Annotated[
        Path | None,
        typer.Argument(help="JSON as the endpoint takes it, or a CSV of artists; - for stdin."),
    ] = None,
    artist: Annotated[
        list[str] | None,
        typer.Option(help="An artist, as NAME or NAME:PLAYS; again for each, most played first."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many countries.")] = 5,
    explain: Annotated[bool, typer.Option("--explain", help="Which artists drove it.")] = False,
    version: Annotated[str | None, typer.Option(help="Bundle version; else the champion.")] = None,
) -> None:
    """Ask the endpoint where a listener is from."""
    target = Target.of(context)
    listener = _listener(file, artist)
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        client = CountryClient(connection)
        (answer,) = client.ask([listener], k=k, explain=explain, version=version)
    if target.as_json:
        say_json(answer)
    else:
        _say(answer)


def _listener(file: Path | None, artists: list[str] | None) -> Listener:
    if artists and file is None:
        return Listener([_artist(text) for text in artists])
    if file is None or artists:
        raise typer.BadParameter("give either a file or --artist")
    if str(file) == "-":
        return read_listener(sys.stdin.read(), source="stdin")
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    return read_listener(text, source=str(file))


def _artist(text: str) -> Artist:
    if not text.strip():
        raise typer.BadParameter("--artist has no name")
    name, colon, plays = text.rpartition(":")
    return Artist(name, float(plays)) if colon and plays.isdigit() else Artist(text)


def _say(answer: Answer) -> None:
    label = ", trained on SYNTHETIC listeners" if answer.synthetic else ""
    say_table(
        f"Bundle {answer.bundle_version}{label}",
        ["Country", "", "Probability "],
        [(c.code, c.name, f"{c.probability:.1%}") for c in answer.countries],
    )
    say(
        "Regions: "
        + ", ".join(f"{r.name} {r.probability:.0%}" for r in answer.regions[:4] if r.probability)
    )
    say(f"{answer.known_artists} artists known, {answer.unknown_artists} unknown.")
    if answer.is_prior:
        say("Nothing is known of this listener: the answer is how frequent each country is.")
    if answer.explanation is not None:
        say_json(answer.explanation)


def score(
    context: typer.Context,
    *,
    data: Annotated[Path, typer.Option(help="Folder of raw data; countries are not needed.")],
    out: Annotated[
        Path, typer.Option(dir_okay=False, help="Parquet file to write, one row a listener.")
    ],
    every: Annotated[bool, typer.Option("--all", help="Also every country's probability.")] = False,
) -> None:
    """Score a folder of listeners with the champion, on Glue."""
    target = Target.of(context)
    journey = Journey([CHECK, REACH, UPLOAD, SCORE, FETCH])
    if target.is_up:
        journey.leave_out(REACH)  # before steps are counted
    with journey.shown():
        with journey.step(CHECK):
            raw = check_folder(data.resolve(), labelled=False)
            journey.tell(f"{raw.plays:,} plays")
        with target.reached(journey) as connection:
            with journey.step(UPLOAD):
                batch = upload_batch(connection, raw, ready=False)
            with journey.step(SCORE):
                run = runs.start_scoring(connection, batch=batch, every_country=every)
                journey.follow(lambda: runs.scoring_run(connection, run), seconds=SCORING_SECONDS)
            with journey.step(FETCH):
                table = store.scores(connection, run)
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
) -> None:
    """Fetch a bundle's report and print its metrics."""
    target = Target.of(context)
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        version = version or CountryClient(connection).champion()
        if version == PRIOR_VERSION:
            raise DataError(
                "the champion is the prior, which has no report: name a bundle of "
                "`listening models list` by --version, or train the first with `make run`"
            )
        evaluation = store.evaluation(connection, version)
        path = out or Path(f"report-{version}.html")
        store.fetch_report(connection, version, path)
    if target.as_json:
        say_json({"report": path, "evaluation": evaluation})
        return
    say_metrics(version, evaluation["metrics"], synthetic=bool(evaluation.get("synthetic")))
    say(f"Report: {path}")


def drift(context: typer.Context) -> None:
    """Compare recent captured answers with those of the champion's test listeners, on Glue."""
    target = Target.of(context)
    with (
        Journey([REACH, COMPARE]).shown() as journey,
        target.reached(journey) as connection,
        journey.step(COMPARE),
    ):
        run = runs.start_drift(connection)
        journey.follow(lambda: runs.drift_run(connection, run), seconds=SCORING_SECONDS)
        found = store.drift(connection, run)
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
