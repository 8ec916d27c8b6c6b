"""What a deployed churn is tried on: one answer and one tiny run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.systems import CHURN
from ops.churn.client import ChurnClient, Day, Past
from ops.tiny_run import score_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.connection import Connection

DAYS = ("2024-05-01", "2024-05-02", "2024-05-04")


def invocation(connection: Connection) -> str:
    """Ask the endpoint."""
    past = Past([Day(day, plays=10, seconds=2000) for day in DAYS], as_of="2024-05-10")
    (answer,) = ChurnClient(connection).ask([past])
    told = answer["gone"][-1]
    return (
        f"bundle {answer['bundle_version']} says {told['probability']:.0%} for {told['days']} days"
    )


def run(connection: Connection) -> str:
    """Score one listener on Glue with the champion."""
    rows = "".join(f"smoke,{day}T18:00:00Z,t,200\n" for day in DAYS)
    return score_one(
        connection, CHURN, table="plays", rows=f"user_id,played_at,track_id,played_s\n{rows}"
    )


CHECKS: dict[str, Callable[[Connection], str]] = {
    "one invocation": invocation,
    "one tiny run": run,
}
