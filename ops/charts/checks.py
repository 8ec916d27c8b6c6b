"""What a deployed charts is tried on: one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.charts.client import ChartsClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.connection import Connection


def invocation(connection: Connection) -> str:
    """Ask the endpoint."""
    answer = ChartsClient(connection).ask(k=1)
    first = [track["track_name"] or track["track_id"] for track in answer["tracks"]]
    return f"bundle {answer['bundle_version']} says {first[0] if first else 'nothing'} is hot"


CHECKS: dict[str, Callable[[Connection], str]] = {"one invocation": invocation}
