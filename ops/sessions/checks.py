"""What a deployed sessions is tried on: one answer and one tiny run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from listening.systems import SESSIONS
from ops import runs, store
from ops.cli.console import clock
from ops.raw_folder import check_folder, upload_batch
from ops.sessions.client import History, PastSession, SessionsClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.connection import Connection

EVENINGS = ("2024-05-01T18", "2024-05-02T18", "2024-05-03T18")


def invocation(connection: Connection) -> str:
    """Ask the endpoint."""
    past = [PastSession(f"{hour}:00:00Z", f"{hour}:40:00Z", plays=10) for hour in EVENINGS[:2]]
    history = History(past, now=f"{EVENINGS[2]}:00:00Z")
    (answer,) = SessionsClient(connection).ask([history])
    return f"bundle {answer['bundle_version']} says {clock(answer['length_s']['0.5'])} minutes"


def run(connection: Connection) -> str:
    """Score one listener on Glue with the champion: packages, wheels, key, buckets, parameter."""
    with TemporaryDirectory() as scratch:
        rows = "".join(f"smoke,{hour}:{10 * i:02}:00Z,t,200\n" for hour in EVENINGS for i in (0, 1))
        (Path(scratch) / "plays.csv").write_text(f"user_id,played_at,track_id,played_s\n{rows}")
        raw = check_folder(Path(scratch), system=SESSIONS, labelled=False)
        batch = upload_batch(connection, raw, mark=None)
    ended = runs.finish_job(
        connection, runs.SCORING, system=SESSIONS.name, arguments={"--batch": batch}
    )
    scored = store.scores(connection, ended.id, system=SESSIONS.name).num_rows
    return f"scoring run {ended.id} scored {scored} listener in {ended.seconds:.0f} s"


CHECKS: dict[str, Callable[[Connection], str]] = {
    "one invocation": invocation,
    "one tiny run": run,
}
