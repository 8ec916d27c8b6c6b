"""Tables that are those of the log already, or nearly: parquet or CSV with named columns.

The Kaggle form of top artists, AWS's synthetic music data (tracks and ratings), and logs whose
columns have other names.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import reduce
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from listening.log.tables import SOUNDS
from ops.convert.chunks import (
    NO_ARTIST,
    NO_LISTENER,
    NO_RATING,
    NO_TIME,
    NO_TRACK,
    NOT_A_KIND,
    NOT_A_NUMBER,
    NOT_A_TIME,
    TABLES,
    Recognised,
    Rule,
    emptied,
    moments,
    numbers,
    sift,
    texts,
    written,
)
from ops.convert.sources import Dropped, cells, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.convert.chunks import Chunk
    from ops.convert.sources import Source

BATCH_ROWS = 65_536
PARQUET = b"PAR1"

_USER = ("user_id", "userid", "user", "user_name", "username", "uid", "listener_id", "listener")
_TRACK_ID = ("track_id", "trackid", "song_id", "songid", "item_id", "spotify_track_uri")
_ARTIST = ("artist_name", "artist", "singer", "artist_id")
_TRACK = ("track_name", "track", "song_name", "song", "title")
ALIASES: dict[str, dict[str, tuple[str, ...]]] = {
    "ratings": {
        "user_id": _USER,
        "track_id": _TRACK_ID,
        "rating": ("rating",),
        "rated_at": ("rated_at", "ts", "timestamp", "time"),
    },
    "events": {
        "user_id": _USER,
        "at": ("at", "time", "timestamp", "ts"),
        "kind": ("kind",),
        "track_id": _TRACK_ID,
    },
    "plays": {
        "user_id": _USER,
        "played_at": (
            "played_at",
            "started_at",
            "start_time",
            "listened_at",
            "timestamp",
            "uts",
            "utc_time",
            "datetime",
            "time",
            "date",
        ),
        "ended_at": ("ended_at", "end_time", "ts"),
        "track_id": _TRACK_ID,
        "artist_name": (*_ARTIST[:3], "master_metadata_album_artist_name", _ARTIST[3]),
        "track_name": (*_TRACK, "master_metadata_track_name"),
        "played_s": ("played_s", "play_time", "ms_played"),
        "device": ("device", "platform"),
        "mbid": ("artist_mbid", "mbid"),
    },
    "top_artists": {
        "user_id": _USER,
        "rank": ("rank",),
        "artist_name": _ARTIST,
        "playcount": ("playcount", "play_count", "plays", "scrobbles", "listen_count"),
        "mbid": ("mbid", "artist_mbid"),
    },
    "users": {
        "user_id": _USER,
        "country": ("country",),
        "gender": ("gender", "sex"),
        "age": ("age",),
        "registered_at": ("registered_at", "registered", "signup"),
        "total_scrobbles": ("total_scrobbles",),
    },
    "tracks": {
        "track_id": _TRACK_ID,
        "artist_name": _ARTIST,
        "track_name": _TRACK,
        "length_s": ("length_s", "length", "duration_s", "duration_ms", "song_length"),
        "genre": ("genre",),
        **{feature: (feature,) for feature in SOUNDS},
    },
}
"""Which columns of a file are a table's, by falling preference; tables by falling claim."""
NEEDED: dict[str, tuple[tuple[str, ...], ...]] = {
    "ratings": (("user_id",), ("track_id",), ("rating",)),
    "events": (("user_id",), ("at",), ("kind",)),
    "plays": (("user_id",), ("played_at", "ended_at"), ("track_id", "artist_name")),
    "top_artists": (("user_id",), ("artist_name",), ("rank", "playcount")),
    "users": (("user_id",), ("country", "gender", "age", "registered_at", "total_scrobbles")),
    "tracks": (("track_id",), ("artist_name", "track_name", "length_s", "genre", *SOUNDS)),
}
"""One of each of these must be there for a file to be the table."""
MILLISECONDS = ("ms_played", "duration_ms")


def recognise(source: Source) -> Recognised | None:
    """Recognise a table of the log by its columns."""
    header = _header(source)
    found = _match(header)
    if found is None:
        return None
    name, columns = found

    def read(source: Source) -> Iterator[Chunk]:
        for raw, dropped in _batches(source, header, columns):
            yield _chunk(name, columns, raw, dropped)

    return Recognised(
        form=f"table {name}",
        columns={name: tuple(columns)},
        read=read,
        ignored=tuple(column for column in header if column not in columns.values()),
    )


def _header(source: Source) -> list[str]:
    if source.head.startswith(PARQUET):
        try:
            with source.open() as file:
                return list(pq.ParquetFile(file).schema_arrow.names)
        except (pa.ArrowException, OSError):
            return []
    if not source.first_lines:
        return []
    first = source.first_lines[0]
    return cells(first, _delimiter(first))


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _plain(name: str) -> str:
    """Return a column's name in snake case."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s-]+", "_", snake).lstrip("#").lower()


def _match(header: Sequence[str]) -> tuple[str, dict[str, str]] | None:
    """Return the table that a header belongs to, and the header's name for each of its columns."""
    names = {_plain(name): name for name in reversed(header)}
    for name, aliases in ALIASES.items():
        found = {
            column: next((names[alias] for alias in known if alias in names), None)
            for column, known in aliases.items()
        }
        columns = {column: there for column, there in found.items() if there is not None}
        if all(any(one in columns for one in some) for some in NEEDED[name]):
            return name, columns
    return None


def _batches(
    source: Source, header: Sequence[str], columns: Mapping[str, str]
) -> Iterator[tuple[dict[str, pa.Array], Counter[str]]]:
    """Yield a file's columns under the table's names, and the rows dropped by reason."""
    if source.head.startswith(PARQUET):
        with source.open() as file:
            content = pq.ParquetFile(source.path or file)
            for batch in content.iter_batches(BATCH_ROWS, columns=sorted(set(columns.values()))):
                yield {name: batch.column(there) for name, there in columns.items()}, Counter()
        return
    records = table(source, _delimiter(source.first_lines[0]), columns=len(header))
    next(records, None)
    places = {name: header.index(there) for name, there in columns.items()}
    while part := list(islice(records, BATCH_ROWS)):
        dropped = Counter(row.reason for row in part if isinstance(row, Dropped))
        rows = [row[1] for row in part if not isinstance(row, Dropped)]
        by_column = list(zip(*rows, strict=True)) or [()] * len(header)
        yield {name: pa.array(by_column[i], pa.string()) for name, i in places.items()}, dropped


def _chunk(
    name: str, columns: Mapping[str, str], raw: Mapping[str, pa.Array], dropped: Mapping[str, int]
) -> Chunk:
    values = {column: _values(name, column, columns[column], raw[column]) for column in columns}
    return sift(
        name,
        values,
        _rules(name, raw, values),
        dropped=dropped,
        emptied={
            column: emptied(raw[column], after)
            for column, after in values.items()
            if not pa.types.is_string(after.type)
        },
    )


def _values(name: str, column: str, there: str, raw: pa.Array) -> pa.Array:
    type_ = TABLES[name][column]
    if pa.types.is_string(type_):
        return texts(raw)
    if pa.types.is_timestamp(type_):
        return moments(raw)
    found = numbers(raw)
    if _plain(there) in MILLISECONDS:
        found = pc.divide(found, 1000.0)
    return written(column, found, name)


def _rules(name: str, raw: Mapping[str, pa.Array], values: Mapping[str, pa.Array]) -> list[Rule]:
    """Return what a row of the table needs."""
    rows = len(next(iter(values.values())))

    def has(*columns: str) -> pa.Array:
        there = [pc.is_valid(values[column]) for column in columns if column in values]
        return reduce(pc.or_, there) if there else pa.repeat(False, rows)

    rules = [] if name == "tracks" else [Rule(NO_LISTENER, has("user_id"))]
    if name in ("tracks", "ratings"):
        rules.append(Rule(NO_TRACK, has("track_id")))
    if name == "top_artists":
        rules.append(Rule(NO_ARTIST, has("artist_name")))
    if name == "ratings":
        rules += _value_rules(raw, values, ["rating"], NO_RATING, NOT_A_NUMBER)
    if name == "events":
        kinds = pa.array(["search", "download"])
        rules += _value_rules(raw, values, ["at"], NO_TIME, NOT_A_TIME)
        rules.append(Rule(NOT_A_KIND, pc.is_in(values["kind"], kinds)))
    if name == "plays":
        times = [column for column in ("played_at", "ended_at") if column in values]
        rules.append(Rule(NO_ARTIST, has("track_id", "artist_name")))
        rules.append(Rule(NO_TRACK, has("track_id", "track_name")))
        rules += _value_rules(raw, values, times, NO_TIME, NOT_A_TIME)
    return rules


def _value_rules(
    raw: Mapping[str, pa.Array],
    values: Mapping[str, pa.Array],
    columns: Sequence[str],
    missing: str,
    wrong: str,
) -> list[Rule]:
    """Return the rules of columns of which one must have a value, and one that it can hold."""
    valid = reduce(pc.or_, [pc.is_valid(values[column]) for column in columns])
    lost = reduce(pc.or_, [emptied(raw[column], values[column]) for column in columns])
    return [Rule(missing, pc.or_(valid, lost)), Rule(wrong, valid)]
