"""A listener read from a file: JSON as the endpoint takes it, or a CSV of artists."""

from __future__ import annotations

import csv
import io
import json

from listening.errors import DataError
from ops.country.client import Artist, Listener


def read_listener(text: str, *, source: str) -> Listener:
    """Read one listener from JSON as the endpoint takes it, or from a CSV of artists.

    Parameters
    ----------
    text
        ``{"top_artists": [{"artist_name": …, "playcount": …}], "total_scrobbles": …}``, the same
        list alone, or the CSV of a Last.fm export: columns ``artist_name`` or ``artist``, and
        ``playcount``, ``plays`` or ``scrobbles`` where known. Where an artist has several rows,
        such as one per play, they are added up.
    source
        What it is called in an error.

    Raises
    ------
    DataError
        It is neither.
    """
    if text.lstrip()[:1] in ("{", "["):
        return _listener_of_json(text, source)
    return _listener_of_csv(text, source)


def _listener_of_json(text: str, source: str) -> Listener:
    try:
        document = json.loads(text)
        if isinstance(document, list):
            document = {"top_artists": document}
        return Listener(
            [
                Artist(entry.get("artist_name", ""), entry.get("playcount"), entry.get("mbid"))
                for entry in document["top_artists"]
            ],
            document.get("total_scrobbles"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f'{source}: expected {{"top_artists": [{{"artist_name": "Björk", "playcount": 12}}]}} '
            f"({error!r})"
        ) from error


def _listener_of_csv(text: str, source: str) -> Listener:
    rows = csv.DictReader(io.StringIO(text))
    columns = [column.strip().casefold() for column in rows.fieldnames or ()]
    rows.fieldnames = columns
    name = next((c for c in ("artist_name", "artist") if c in columns), None)
    if name is None:
        raise DataError(
            f"{source}: no column 'artist_name' or 'artist'; the file has {', '.join(columns)}"
        )
    count = next((c for c in ("playcount", "plays", "scrobbles") if c in columns), None)
    plays: dict[str, float] = {}
    for number, row in enumerate(rows, start=2):
        artist = (row[name] or "").strip()
        if not artist:
            continue
        try:
            value = float(row[count]) if count and row[count] else 1.0
        except ValueError as error:
            raise DataError(f"{source}, line {number}: {row[count]!r} is no number") from error
        plays[artist] = plays.get(artist, 0.0) + value
    if not plays:
        raise DataError(f"{source}: no artists in it")
    known = count is not None or len(set(plays.values())) > 1
    return Listener(
        [
            Artist(artist, value if known else None)
            for artist, value in sorted(plays.items(), key=lambda item: -item[1])
        ]
    )
