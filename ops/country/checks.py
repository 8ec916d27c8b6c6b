"""What a deployed country is tried on: one answer and one tiny run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.systems import COUNTRY
from ops.country.client import Artist, CountryClient, Listener
from ops.tiny_run import score_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.connection import Connection

ARTISTS = ("Radiohead", "The Beatles", "Daft Punk")


def invocation(connection: Connection) -> str:
    """Ask the endpoint."""
    client = CountryClient(connection)
    (answer,) = client.ask([Listener([Artist(name) for name in ARTISTS])])
    likely = answer.countries[0]
    return f"bundle {answer.bundle_version} says {likely.name} ({likely.probability:.0%})"


def run(connection: Connection) -> str:
    """Score one listener on Glue with the champion."""
    rows = "".join(f"smoke,{rank},{artist}\n" for rank, artist in enumerate(ARTISTS, 1))
    header = "user_id,rank,artist_name"
    return score_one(connection, COUNTRY, table="top_artists", rows=f"{header}\n{rows}")


CHECKS: dict[str, Callable[[Connection], str]] = {
    "one invocation": invocation,
    "one tiny run": run,
}
