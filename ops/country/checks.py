"""What a deployed country is tried on: one answer and one tiny run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from listening.systems import COUNTRY
from ops import runs, store
from ops.country.client import Artist, CountryClient, Listener
from ops.raw_folder import check_folder, upload_batch

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
    """Score one listener on Glue with the champion: packages, wheels, key, buckets, parameter."""
    with TemporaryDirectory() as scratch:
        rows = "".join(f"smoke,{rank},{artist}\n" for rank, artist in enumerate(ARTISTS, 1))
        (Path(scratch) / "top_artists.csv").write_text(f"user_id,rank,artist_name\n{rows}")
        raw = check_folder(Path(scratch), system=COUNTRY, labelled=False)
        batch = upload_batch(connection, raw, mark=None)
    ended = runs.finish_job(
        connection, runs.SCORING, system=COUNTRY.name, arguments={"--batch": batch}
    )
    scored = store.scores(connection, ended.id, system=COUNTRY.name).num_rows
    return f"scoring run {ended.id} scored {scored} listener in {ended.seconds:.0f} s"


CHECKS: dict[str, Callable[[Connection], str]] = {
    "one invocation": invocation,
    "one tiny run": run,
}
