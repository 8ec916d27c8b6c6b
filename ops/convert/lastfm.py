"""Last.fm: CSV files of one listener's scrobbles, as the common exporters write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.convert.chunks import Recognised, moment
from ops.convert.plays import Play, reader
from ops.convert.sources import Dropped, cells, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.convert.sources import Source

COLUMNS = ("user_id", "played_at", "artist_name", "track_name")
"""Without track ids: Last.fm gives scrobbles of one track one or none."""

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
    artist, time, track, artist_mbid
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
    listener: str = ""
    ignored: tuple[str, ...] = ()


def recognise(source: Source) -> Recognised | None:
    """Recognise an export by its header, or by the place of the time where it has none."""
    found = layout(source)
    if found is None or found.track is None:
        return None

    def plays(source: Source) -> Iterator[Play | Dropped]:
        return _plays(source, found)

    columns = COLUMNS if found.artist_mbid is None else (*COLUMNS, "mbid")
    return Recognised(
        form="Last.fm scrobbles",
        columns={"plays": columns},
        read=reader(plays, columns),
        plays=plays,
        of_one=True,
        listener=found.listener,
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
        track, artist_mbid = _place(names, TRACK), _place(names, ARTIST_MBID)
        used = {artist, time, track, artist_mbid}
        return Layout(
            delimiter,
            header=True,
            columns=len(names),
            artist=artist,
            time=time,
            track=track,
            artist_mbid=artist_mbid,
            listener=listener,
            ignored=tuple(name for place, name in enumerate(header) if place not in used),
        )
    return _without_header(source.first_lines, delimiter)


def _without_header(lines: Sequence[str], delimiter: str) -> Layout | None:
    """Return the layout of benjaminbenben.com: artist, album, track, time."""
    rows = [cells(line, delimiter) for line in lines[:100]]
    like_it = [row for row in rows if len(row) == 4]
    timed = [row for row in like_it if ":" in row[3] and moment(row[3])]
    if len(like_it) <= len(rows) / 2 or len(timed) <= len(like_it) / 2 or like_it[0] != timed[0]:
        return None
    return Layout(delimiter, header=False, columns=4, artist=0, track=2, time=3)


def _place(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _plays(source: Source, found: Layout) -> Iterator[Play | Dropped]:
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
            mbid=_field(fields, found.artist_mbid),
        )


def _field(fields: Sequence[str], place: int | None) -> str:
    return "" if place is None else fields[place].strip()
