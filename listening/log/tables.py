"""The tables of the listening log: columns, kinds, units, and what becomes of values.

One description, which the check, the upload, the Glue reader, the catalogue and the docs read.
Data alone, from the standard library alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "text", "integer", "number", "time"]
"""What a column holds.

``id``: text without blanks around it; a whole number is written as text; others are none.
``text``: as it is. ``integer`` and ``number``: a finite number, in text with or without thousands
commas; a fraction where an integer is meant is kept, and the check says so.
``time``: an instant, UTC where no offset is given; numbers count s, ms, µs or ns since 1970, by
their size. A value that is none of its kind becomes null, and is counted.
"""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name, kind
        Its name, and what it holds.
    says
        What a value says, with its unit.
    needed
        Whether the table must have it; a row without a value is dropped.
    """

    name: str
    kind: Kind
    says: str
    needed: bool = False


@dataclass(frozen=True, kw_only=True)
class LogTable:
    """A table of the log.

    Parameters
    ----------
    name
        Of its file or folder.
    row
        What a row is.
    columns
        What it may have; others are left alone.
    one_of
        Groups of columns of which it must have one.
    derived_from
        The table that it is made from where a batch does not have it.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    one_of: tuple[tuple[str, ...], ...] = ()
    derived_from: str | None = None

    def __getitem__(self, name: str) -> Column:
        """Return the column of this name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(column.name for column in self.columns)

    @property
    def needed(self) -> tuple[str, ...]:
        """The names of the columns that it cannot do without."""
        return tuple(column.name for column in self.columns if column.needed)


_LISTENER = Column(name="user_id", kind="id", says="the listener", needed=True)
_TRACK = Column(name="track_id", kind="id", says="the track")
_ARTIST = Column(name="artist_name", kind="text", says="the artist")

SOUNDS = (
    *("energy", "acousticness", "valence", "speechiness", "instrumentalness", "liveness"),
    *("tempo", "danceability"),
)
"""What tracks sound like."""

USERS = LogTable(
    name="users",
    row="a listener",
    columns=(
        _LISTENER,
        Column(name="country", kind="text", says="English name or ISO 3166 code"),
        Column(name="gender", kind="text", says="as the listener says"),
        Column(name="age", kind="integer", says="years"),
        Column(name="registered_at", kind="time", says="when the account was made"),
        Column(name="total_scrobbles", kind="integer", says="plays over the whole life"),
    ),
)
TRACKS = LogTable(
    name="tracks",
    row="a track",
    columns=(
        Column(name="track_id", kind="id", says="the track", needed=True),
        _ARTIST,
        Column(name="track_name", kind="text", says="its title"),
        Column(name="length_s", kind="number", says="seconds"),
        Column(name="genre", kind="text", says="its genre"),
        *(
            Column(name=name, kind="number", says="beats a minute" if name == "tempo" else "0 to 1")
            for name in SOUNDS
        ),
    ),
)
PLAYS = LogTable(
    name="plays",
    row="a play",
    columns=(
        _LISTENER,
        Column(name="played_at", kind="time", says="when it began"),
        Column(name="ended_at", kind="time", says="when it ended"),
        _TRACK,
        _ARTIST,
        Column(name="track_name", kind="text", says="the track's title"),
        Column(name="played_s", kind="number", says="seconds that were heard"),
        Column(name="device", kind="text", says="what it was played on"),
        Column(name="mbid", kind="id", says="the artist in MusicBrainz"),
    ),
    one_of=(("played_at", "ended_at"), ("track_id", "artist_name")),
)
SEARCH, DOWNLOAD = EVENT_KINDS = ("search", "download")
"""What an event may be; written in any case."""
EVENTS = LogTable(
    name="events",
    row="something else that a listener did",
    columns=(
        _LISTENER,
        Column(name="at", kind="time", says="when", needed=True),
        Column(name="kind", kind="text", says="`search` or `download`", needed=True),
        _TRACK,
    ),
)
RATINGS = LogTable(
    name="ratings",
    row="a listener's rating of a track",
    columns=(
        _LISTENER,
        Column(name="track_id", kind="id", says="the track", needed=True),
        Column(name="rating", kind="number", says="higher is better", needed=True),
        Column(name="rated_at", kind="time", says="when"),
    ),
)
TOP_ARTISTS = LogTable(
    name="top_artists",
    row="an artist that a listener plays",
    columns=(
        _LISTENER,
        Column(name="artist_name", kind="text", says="the artist", needed=True),
        Column(name="rank", kind="integer", says="from 1, the most played first"),
        Column(name="playcount", kind="integer", says="plays"),
        Column(name="mbid", kind="id", says="the artist in MusicBrainz"),
    ),
    derived_from="plays",
)

TABLES = {table.name: table for table in (USERS, TRACKS, PLAYS, EVENTS, RATINGS, TOP_ARTISTS)}
"""Every table by its name."""

HIVE_TYPES: dict[Kind, str] = {
    "id": "string",
    "text": "string",
    "integer": "bigint",
    "number": "double",
    "time": "timestamp",
}
"""A column's type in the catalogue, by its kind."""
