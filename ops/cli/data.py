"""Commands about the data: made into tables, checked, uploaded, invented, forgotten."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - typer reads the annotations
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from listening.errors import DataError
from listening.log.plain import bare
from listening.systems import SYSTEMS
from ops import convert as converting
from ops import forgetting
from ops.cli.console import say, say_json, say_table
from ops.cli.progress import REACH, UPLOAD, Journey
from ops.cli.system import AnySystem  # noqa: TC001 - typer reads the annotations
from ops.cli.target import Target
from ops.raw_folder import RawFolder, check_folder, upload_batch
from ops.world import write_world

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

data = typer.Typer(no_args_is_help=True, help="The data: convert, check, upload, invent, forget.")

FIND = "look for the listener in every object version"
FORGET = "write what named the listener anew"

NAMES_SHOWN = 20
"""Of files, in the tables of `convert`; its result has them all."""

Folder = Annotated[Path, typer.Argument(help="Holds the tables of users and plays.")]


@data.command()
def convert(
    context: typer.Context,
    *,
    source: Annotated[
        Path, typer.Argument(help="A file, a zip, or a folder with one for each listener.")
    ],
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder to write; must be missing or empty.")
    ],
    user: Annotated[
        str | None, typer.Option(help="The listener, of one listener's exports.")
    ] = None,
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Of logs whose rows and names have none."),
    ] = None,
) -> None:
    """Make tables of the listening log from exports and data sets."""
    result = converting.convert(source, out, user=user, date=date.date() if date else None)
    if Target.of(context).as_json:
        say_json(result)
    else:
        _say_conversion(result, out)


def _say_conversion(result: converting.Conversion, out: Path) -> None:
    counts = [
        (file.name, file.form, table, count)
        for file in result.files[:NAMES_SHOWN]
        for table, count in file.tables.items()
    ]
    if len(result.files) > 1:
        counts += [("all", "", table, count) for table, count in result.tables.items()]
    say_table(
        f"Rows of {len(result.files):,} files",
        ["File", "Form", "Table", "In ", "Out ", "Dropped"],
        [
            (
                name,
                form,
                table,
                f"{count.rows_in:,}",
                f"{count.rows_out:,}",
                _reasons(count.dropped),
            )
            for name, form, table, count in counts
        ],
    )
    for file in result.files:
        if file.encoding == "latin-1":
            say(f"{file.name} is not UTF-8: read as Latin-1.")
        if file.ignored:
            say(f"{file.name}: columns without a place in the log: {', '.join(file.ignored)}.")
    for table, count in result.tables.items():
        if count.emptied:
            say(f"{table}: values left out since they are none: {_reasons(count.emptied)}.")
    if result.not_recognised:
        say(f"Not recognised: {len(result.not_recognised):,} files.")
    for name, why in list(result.not_recognised.items())[:NAMES_SHOWN]:
        say(f"  {name}: {why}")
    say(f"{out} holds {', '.join(result.tables)}, and every count in {converting.RESULT}.")


def _reasons(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {n:,}" for reason, n in rows.items())


@data.command()
def check(
    context: typer.Context,
    folder: Folder,
    *,
    system: AnySystem = None,
) -> None:
    """Check that a folder holds raw data which the jobs can use."""
    raw = _checked(folder, system, labelled=False)
    if Target.of(context).as_json:
        say_json(_facts(raw))
        return
    for warning in raw.warnings:
        say(warning)
    can_learn = raw.usable_by(labelled=True)
    learn = ", ".join(can_learn) or "none"
    say(f"{folder} is usable: {raw.summary}. Systems that can learn from it: {learn}.")
    for name in set(raw.usable_by(labelled=False)) - set(can_learn):
        say(f"{name} can score it, but not learn from it without {raw.lacks(SYSTEMS[name])}.")


@data.command()
def upload(context: typer.Context, folder: Folder) -> None:
    """Upload a folder of raw data; its arrival starts the feature workflows."""
    target = Target.of(context)
    raw = _checked(folder, None, labelled=True)
    connection = target.connect()
    with Journey([UPLOAD]).shown() as journey, journey.step(UPLOAD):
        batch = upload_batch(connection, raw)
    if target.as_json:
        say_json(_facts(raw) | {"batch": batch})
    else:
        say(f"Batch {batch} is uploaded; `listening status` shows what it started.")


def _checked(folder: Path, system: str | None, *, labelled: bool) -> RawFolder:
    """Check a folder for one system, or for any: at least one must be able to use it."""
    raw = check_folder(folder.resolve(), system=SYSTEMS.get(system or ""))
    if not raw.usable_by(labelled=labelled):
        lacks = "; ".join(f"{s.name} lacks {raw.lacks(s)}" for s in SYSTEMS.values())
        raise DataError(f"{folder}: no system can use {', '.join(raw.tables)} alone: {lacks}")
    return raw


def _facts(raw: RawFolder) -> dict[str, object]:
    return {
        "listeners": raw.listeners,
        "tables": {
            name: {
                "rows": counts.rows,
                "dropped": dict(counts.dropped),
                "listeners": len(counts.listeners),
            }
            for name, counts in raw.tables.items()
        },
        "warnings": raw.warnings,
        "usable_by": raw.usable_by(labelled=True),
        "scorable_by": raw.usable_by(labelled=False),
        "synthetic": raw.synthetic,
        "files": raw.files,
    }


@data.command()
def invent(  # noqa: PLR0913 - the options of a command line
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to; must be empty or not there.")],
    *,
    listeners: Annotated[int, typer.Option(help="How many, to 600,000.")] = 2_000,
    artists: Annotated[int, typer.Option(help="How many.")] = 5_000,
    days: Annotated[int, typer.Option(help="Length of the log.")] = 180,
    plays: Annotated[int | None, typer.Option(help="About how many; else 300 a listener.")] = None,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 20,
) -> None:
    """Invent a whole log, SYNTHETIC, with the laws behind it in planted.json."""
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder} is not empty; name a folder that is not there yet")
    planted = write_world(
        folder, listeners=listeners, artists=artists, days=days, plays=plays, seed=seed
    )
    if Target.of(context).as_json:
        say_json(planted)
        return
    rows = ", ".join(f"{count:,} {name}" for name, count in planted["rows"].items())
    say(f"{folder}: {rows}, SYNTHETIC; the laws are in {folder / 'planted.json'}.")


@data.command()
def forget(
    context: typer.Context,
    *,
    user_id: Annotated[str, typer.Argument(help="As in the column user_id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
) -> None:
    """Remove a listener from raw data, features, scores and captures, in all object versions."""
    target = Target.of(context)
    with (
        Journey([REACH, FIND, FORGET]).shown() as journey,
        target.reached(journey) as connection,
    ):
        with journey.step(FIND):
            user_id = bare(user_id)
            traces = forgetting.find_listener(connection, user_id)
        unread = [trace.unread for trace in traces if trace.unread]
        traces = [trace for trace in traces if not trace.unread]
        found = {place: _found(traces, place) for place in forgetting.places()}
        if traces:
            _confirm_forgetting(user_id, found, journey, ask=not yes)
            with journey.step(FORGET):
                forgetting.forget_listener(connection, user_id, traces)
    if target.as_json:
        say_json({"user_id": user_id, "removed": found, "unread": unread})
    elif traces:
        _say_removed(user_id, found)
    else:
        say(f"Nothing that can be read names listener {user_id}.")
    if unread:
        raise DataError(
            f"{len(unread)} object versions cannot be read and were left as they are; look for the "
            f"listener by hand: {'; '.join(unread)}"
        )


def _say_removed(user_id: str, found: dict[str, dict[str, int]]) -> None:
    say_table(
        f"Removed of listener {user_id}",
        ["Place", "Rows ", "Object versions "],
        [(place, f"{n['rows']:,}", f"{n['versions']:,}") for place, n in found.items()],
    )
    say("The champion learned from them among all others; the next `features run` leaves them out.")


def _found(traces: Sequence[forgetting.Trace], place: str) -> dict[str, int]:
    here = [trace for trace in traces if trace.place == place]
    return {"rows": sum(trace.rows for trace in here), "versions": len(here)}


def _confirm_forgetting(
    user_id: str, found: dict[str, dict[str, int]], journey: Journey, *, ask: bool
) -> None:
    counts = ", ".join(f"{place} {n['rows']:,}" for place, n in found.items())
    if not ask:
        journey.tell(f"rows: {counts}")
        return
    with journey.hidden():
        typer.confirm(
            f"Rows of listener {user_id}, over all object versions: {counts}.\n"
            "Remove them for good?",
            abort=True,
            err=True,
        )
