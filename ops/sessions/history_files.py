"""A listener's history read from a file: an export of plays, or JSON for the endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

from listening.errors import DataError
from ops.convert import convert

EXAMPLE = '{"sessions": [{"start": "2024-05-01T18:00:00Z", "end": "2024-05-01T19:10:00Z"}]}'
OWN = ("sessions", "plays", "open_session")


def read_history(content: bytes, *, name: str) -> dict[str, Any]:
    """Return a request for the endpoint.

    Parameters
    ----------
    content
        JSON as the endpoint takes it, or an export that `ops.convert` reads, of one listener.
    name
        The file's name, by which some exports are recognised.

    Raises
    ------
    DataError
        It is neither, or plays of several listeners.
    """
    document = _own(content)
    if document is not None:
        return document
    with TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "source", Path(scratch) / "log"
        source.mkdir()
        (source / Path(name).name).write_bytes(content)
        try:
            tables = convert(source, target).tables
        except DataError as error:
            raise DataError(str(error).replace(str(source), name)) from error
        if not tables.get("plays") or not tables["plays"].rows_out:
            raise DataError(f"{name}: no plays in it; expected an export of plays, or {EXAMPLE}")
        plays = pq.read_table(target / "plays")
    listeners = plays["user_id"].unique().to_pylist()
    if len(listeners) > 1:
        raise DataError(
            f"{name}: plays of {len(listeners):,} listeners; leave those of one, or score all of "
            "them with `listening score --system sessions`"
        )
    columns = [c for c in ("played_at", "ended_at", "played_s") if c in plays.column_names]
    rows = plays.select(columns).to_pylist()
    return {
        "plays": [
            {
                column: value if isinstance(value, float) else value.isoformat()
                for column, value in row.items()
                if value is not None
            }
            for row in rows
        ]
    }


def _own(content: bytes) -> dict[str, Any] | None:
    """Return the content if it is a request of the endpoint's own form."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, dict) and any(isinstance(document.get(n), list | dict) for n in OWN):
        return document
    return None
