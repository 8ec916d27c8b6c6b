"""What a deployed sessions is tried on: one answer and one tiny run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.systems import SESSIONS
from ops.cli.console import clock
from ops.sessions.client import History, PastSession, SessionsClient
from ops.tiny_run import score_one

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
    """Score one listener on Glue with the champion."""
    rows = "".join(f"smoke,{hour}:{10 * i:02}:00Z,t,200\n" for hour in EVENINGS for i in (0, 1))
    header = "user_id,played_at,track_id,played_s"
    return score_one(connection, SESSIONS, table="plays", rows=f"{header}\n{rows}")


CHECKS: dict[str, Callable[[Connection], str]] = {
    "one invocation": invocation,
    "one tiny run": run,
}
