"""A listener's history read from a file: an export of plays, or JSON for the endpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

from listening.errors import DataError
from ops.convert import convert


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a system is asked with.

    Parameters
    ----------
    system
        Its name.
    own
        Fields of its requests, one of which makes JSON a request.
    of_play
        What it takes of a play.
    example
        A request, for errors.
    """

    system: str
    own: tuple[str, ...]
    of_play: tuple[str, ...]
    example: str


def read_history(content: bytes, *, name: str, asked: Asked) -> dict[str, Any]:
    """Return a request for the endpoint.

    Parameters
    ----------
    content
        JSON as the endpoint takes it, or an export that `ops.convert` reads, of one listener.
    name
        The file's name, by which some exports are recognised.
    asked
        Whose request it is to be.

    Raises
    ------
    DataError
        It is neither, or plays of several listeners.
    """
    document = _own(content, asked.own)
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
            raise DataError(
                f"{name}: no plays in it; expected an export of plays, or {asked.example}"
            )
        plays = pq.read_table(target / "plays")
    listeners = plays["user_id"].unique().to_pylist()
    if len(listeners) > 1:
        raise DataError(
            f"{name}: plays of {len(listeners):,} listeners; leave those of one, or score all of "
            f"them with `listening score --system {asked.system}`"
        )
    columns = [column for column in asked.of_play if column in plays.column_names]
    rows = plays.select(columns).to_pylist()
    return {
        "plays": [
            {
                column: value.isoformat() if isinstance(value, datetime) else value
                for column, value in row.items()
                if value is not None
            }
            for row in rows
        ]
    }


def _own(content: bytes, own: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the content if it is a request of the endpoint's own form."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, dict) and any(isinstance(document.get(n), list | dict) for n in own):
        return document
    return None
