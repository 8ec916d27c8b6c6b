"""The smallest run of a deployed system: one listener scored on Glue with the champion.

It needs packages, wheels, key, buckets and the champion's parameter.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ops import runs, store
from ops.raw_folder import check_folder, upload_batch

if TYPE_CHECKING:
    from listening.systems import System
    from ops.connection import Connection


def score_one(connection: Connection, system: System, *, table: str, rows: str) -> str:
    """Score a listener and say so.

    Parameters
    ----------
    connection
        The environment.
    system
        Whose scoring job.
    table, rows
        The one table of the batch, and its CSV.
    """
    with TemporaryDirectory() as scratch:
        (Path(scratch) / f"{table}.csv").write_text(rows)
        raw = check_folder(Path(scratch), system=system, labelled=False)
        batch = upload_batch(connection, raw, mark=None)
    ended = runs.finish_job(
        connection, runs.SCORING, system=system.name, arguments={"--batch": batch}
    )
    scored = store.scores(connection, ended.id, system=system.name).num_rows
    return f"scoring run {ended.id} scored {scored} listener in {ended.seconds:.0f} s"
