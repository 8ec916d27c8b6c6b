"""Last.fm: CSV files of one listener's scrobbles, as the common exporters write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.convert.chunks import Recognised, moment
from ops.convert.plays import Play, chunks
from ops.convert.sources import Dropped, cells, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.convert.chunks import Chunk
    from ops.convert.sources import Source

COLUMNS = ("user_id", "played_at", "track_id", "artist_name", "track_name")

ARTIST = ("artist", "artist_name", "artist name")
TRACK = ("track", "track_name", "track name", "title", "song", "name")
TIME = (
    "uts",
    "timestamp",
    "played_at",
    "listened_at",
    "utc_time",
    "utc time",
    "scrobble time",
    "date",
    "time",
    "datetime",
)
"""Names of columns, in the order in which they are taken; in lower case."""
LISTENER = ("user_id", "userid", "user_name", "username", "user")
ARTIST_MBID = ("artist_mbid", "artist mbid", "mbid")
TRACK_MBID = ("track_mbid", "track mbid")


@dataclass(frozen=True)
class Layout:
    """Where an export has what; None for what it has not.

    Parameters
    ----------
    delimiter
        Stands between two fields.
    header
        Whether the first row names the columns.
    columns
        How many there are.
    artist, track, time, artist_mbid, track_mbid
        Places of columns, from 0.
    listener
        Whose it is, where the header says.
    ignored
        Columns that become nothing.
    """

    delimiter: str
    header: bool
    columns: int
    artist: int
    time: int
    track: int | None = None
    artist_mbid: int | None = None
    track_mbid: int | None = None
    listener: str = ""
    ignored: tuple[str, ...] = ()


def recognise(source: Source) -> Recognised | None:
    """Recognise an export by its header, or by the place of the time where it has none."""
    found = layout(source)
    if found is None or found.track is None:
        return None

    def read(source: Source) -> Iterator[Chunk]:
        listener = source.listener or found.listener
        return chunks(plays(source, found), columns=COLUMNS, listener=listener)

    return Recognised(
        form="Last.fm scrobbles",
        columns={"plays": COLUMNS},
        read=read,
        of_one=True,
        ignored=found.ignored,
    )


def layout(source: Source) -> Layout | None:
    """Return where an export has what; None for what is no export of scrobbles."""
    if not source.first_lines:
        return None
    first = source.first_lines[0]
    delimiter = max(",;\t", key=first.count)
    header = cells(first, delimiter)
    names = [name.strip().casefold() for name in header]
    listener = ""
    if names[-1].startswith("date#"):  # lastfmstats.com: Artist;Album;AlbumId;Track;Date#listener
        listener = header[-1].strip()[len("date#") :]
        names[-1] = "date"
    artist, time = _place(names, ARTIST), _place(names, TIME)
    if artist is not None:
        if time is None or _place(names, LISTENER) is not None:
            return None
        track, artist_mbid, track_mbid = (
            _place(names, wanted) for wanted in (TRACK, ARTIST_MBID, TRACK_MBID)
        )
        used = {artist, time, track, artist_mbid, track_mbid}
        return Layout(
            delimiter,
            header=True,
            columns=len(names),
            artist=artist,
            time=time,
            track=track,
            artist_mbid=artist_mbid,
            track_mbid=track_mbid,
            listener=listener,
            ignored=tuple(name for place, name in enumerate(header) if place not in used),
        )
    return _without_header(source.first_lines, delimiter)


def _without_header(lines: Sequence[str], delimiter: str) -> Layout | None:
    """Return the layout of benjaminbenben.com: artist, album, track, time."""
    rows = [cells(line, delimiter) for line in lines[:100]]
    right = [row for row in rows if len(row) == 4 and ":" in row[3] and moment(row[3])]
    if len(right) <= len(rows) / 2:
        return None
    return Layout(delimiter, header=False, columns=4, artist=0, track=2, time=3)


def _place(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def plays(source: Source, found: Layout) -> Iterator[Play | Dropped]:
    """Yield the plays of an export."""
    rows = table(source, found.delimiter, columns=found.columns)
    if found.header:
        next(rows, None)
    for row in rows:
        if isinstance(row, Dropped):
            yield row
            continue
        number, fields = row
        yield Play(
            number,
            _field(fields, found.artist),
            _field(fields, found.track),
            _field(fields, found.time),
            track_id=_field(fields, found.track_mbid),
            mbid=_field(fields, found.artist_mbid),
        )


def _field(fields: Sequence[str], place: int | None) -> str:
    return "" if place is None else fields[place].strip()
