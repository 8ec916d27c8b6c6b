"""Tables of the listening log, and their rows on the way from a source."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ops.convert.plays import Play
    from ops.convert.sources import Dropped, Source

MOMENT = pa.timestamp("us", tz="UTC")
FEATURES = (
    "energy",
    "acousticness",
    "valence",
    "speechiness",
    "instrumentalness",
    "liveness",
    "tempo",
    "danceability",
)
TABLES: dict[str, dict[str, pa.DataType]] = {
    "plays": {
        "user_id": pa.string(),
        "played_at": MOMENT,
        "ended_at": MOMENT,
        "track_id": pa.string(),
        "artist_name": pa.string(),
        "track_name": pa.string(),
        "played_s": pa.float64(),
        "device": pa.string(),
    },
    "tracks": {
        "track_id": pa.string(),
        "artist_name": pa.string(),
        "track_name": pa.string(),
        "length_s": pa.float64(),
        "genre": pa.string(),
        **dict.fromkeys(FEATURES, pa.float64()),
    },
    "events": {
        "user_id": pa.string(),
        "at": MOMENT,
        "kind": pa.string(),
        "track_id": pa.string(),
    },
    "ratings": {
        "user_id": pa.string(),
        "track_id": pa.string(),
        "rating": pa.float64(),
        "rated_at": MOMENT,
    },
    "users": {
        "user_id": pa.string(),
        "country": pa.string(),
        "gender": pa.string(),
        "age": pa.int32(),
        "registered_at": MOMENT,
        "total_scrobbles": pa.float64(),
    },
    "top_artists": {
        "user_id": pa.string(),
        "rank": pa.int32(),
        "artist_name": pa.string(),
        "playcount": pa.float64(),
        "mbid": pa.string(),
    },
}
"""Columns of each table, in their order, and what their values are."""

LISTED_BEFORE = "track listed before"
NO_ARTIST = "no artist"
NO_LISTENER = "no listener"
NO_RATING = "no rating"
NO_TIME = "no time"
NO_TRACK = "no track"
NOT_A_KIND = "neither search nor download"
NOT_A_NUMBER = "not a number"
NOT_A_TIME = "not a time"


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Rows of a source that belong to one table.

    Parameters
    ----------
    table
        One of `TABLES`.
    rows_in
        How many rows of the source it is made of.
    columns
        What is kept, by column; all of one length.
    dropped
        How many rows are not, by reason.
    emptied
        In how many rows that are kept a value was left out which is none of its column, by column.
    """

    table: str
    rows_in: int
    columns: Mapping[str, pa.Array]
    dropped: Mapping[str, int] = field(default_factory=dict)
    emptied: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows_out(self) -> int:
        """How many rows are kept."""
        return len(next(iter(self.columns.values()), ()))


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What a file was recognised as.

    Parameters
    ----------
    form
        Its form, for people.
    columns
        Which columns of which tables it fills.
    read
        Reads it; the source is handed over again as its listener may have become known.
    plays
        Yields its plays row by row; None for what is no export of plays.
    of_one
        Whether it holds one listener's plays without naming them in its rows.
    listener
        Whose it says it is, outside its rows.
    ignored
        Columns of a header that become nothing.
    """

    form: str
    columns: Mapping[str, Sequence[str]]
    read: Callable[[Source], Iterator[Chunk]]
    plays: Callable[[Source], Iterator[Play | Dropped]] | None = None
    of_one: bool = False
    listener: str = ""
    ignored: Sequence[str] = ()


class Rule(NamedTuple):
    """Which rows of a table are kept, and what is said of the others."""

    reason: str
    kept: pa.Array


def sift(
    table: str,
    columns: Mapping[str, pa.Array],
    rules: Iterable[Rule],
    *,
    dropped: Mapping[str, int] | None = None,
    emptied: Mapping[str, pa.Array] | None = None,
) -> Chunk:
    """Return the rows that all rules keep; each other is dropped for the first that does not.

    Parameters
    ----------
    table
        One of `TABLES`.
    columns
        All rows, by column.
    rules
        In the order in which they are asked.
    dropped
        Rows of the source that did not even become rows here, by reason.
    emptied
        For columns, where a value was left out; counted among the rows that are kept.
    """
    reasons = Counter(dropped or {})
    rows = len(next(iter(columns.values())))
    kept = pa.repeat(True, rows)
    for reason, rule in rules:
        passed = pc.and_(kept, pc.fill_null(rule, fill_value=False))
        reasons[reason] += _count(kept) - _count(passed)
        kept = passed
    counts = {name: _count(pc.and_(where, kept)) for name, where in (emptied or {}).items()}
    return Chunk(
        table=table,
        rows_in=rows + sum((dropped or {}).values()),
        columns={name: values.filter(kept) for name, values in columns.items()},
        dropped=dict(+reasons),
        emptied={name: n for name, n in counts.items() if n},
    )


def _count(where: pa.Array) -> int:
    return pc.sum(where).as_py() or 0


def only_new(chunk: Chunk, seen: set[str]) -> Chunk:
    """Return the tracks of a chunk that are not listed yet, and list them.

    Parameters
    ----------
    chunk
        Of the table of tracks.
    seen
        The ids of those that are listed; grows.
    """
    new = []
    for track in chunk.columns["track_id"].to_pylist():
        new.append(track not in seen)
        seen.add(track)
    kept = sift(chunk.table, chunk.columns, [Rule(LISTED_BEFORE, pa.array(new, pa.bool_()))])
    return replace(
        chunk, columns=kept.columns, dropped=dict(Counter(chunk.dropped) + Counter(kept.dropped))
    )


def texts(values: pa.Array) -> pa.Array:
    """Return values as trimmed text; null where nothing is left."""
    values = _plain(values)
    if pa.types.is_floating(values.type) and pc.all(pc.equal(pc.floor(values), values)).as_py():
        values = values.cast(pa.int64())  # numbers that a missing one among them made floats
    trimmed = pc.utf8_trim_whitespace(values.cast(pa.string()))
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def numbers(values: pa.Array) -> pa.Array:
    """Return values as numbers; null where they are none."""
    values = _plain(values)
    if not _is_text(values):
        found = values.cast(pa.float64(), safe=False)
    else:
        trimmed = pc.utf8_trim_whitespace(values.cast(pa.string()))
        grouped = pc.match_substring_regex(trimmed, r"^\d{1,3}(,\d{3})+(\.\d+)?$")
        trimmed = pc.if_else(grouped, pc.replace_substring(trimmed, ",", ""), trimmed)
        right = pc.match_substring_regex(trimmed, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$")
        found = pc.if_else(right, trimmed, pa.scalar(None, pa.string())).cast(pa.float64())
    return pc.if_else(pc.is_finite(found), found, pa.scalar(None, pa.float64()))


def moments(values: pa.Array) -> pa.Array:
    """Return values as moments in UTC; null where they are none.

    Parameters
    ----------
    values
        Times, or dates; seconds or milliseconds since 1970; or text, see `moment`.
    """
    values = _plain(values)
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        zone = getattr(values.type, "tz", None)
        return values.cast(pa.timestamp("us", tz=zone), safe=False).cast(MOMENT)
    if not _is_text(values):
        return _since_1970(values.cast(pa.float64(), safe=False))
    plain = texts(values)
    for type_ in (MOMENT, pa.timestamp("us")):  # with a zone in all rows, with none in all
        try:
            return plain.cast(type_).cast(MOMENT)
        except pa.ArrowInvalid:
            continue
    return pa.array([None if text is None else moment(text) for text in plain.to_pylist()], MOMENT)


LAST = 253_402_300_799  # seconds since 1970: the end of the year 9999
MILLISECONDS = 10_000_000_000  # from here on, what looks like seconds is that: year 2286


def _since_1970(values: pa.Array) -> pa.Array:
    seconds = pc.if_else(pc.greater_equal(values, MILLISECONDS), pc.divide(values, 1000.0), values)
    right = pc.and_(pc.greater_equal(seconds, 0), pc.less_equal(seconds, LAST))
    micros = pc.round(pc.multiply(pc.if_else(right, seconds, pa.scalar(None, pa.float64())), 1e6))
    return micros.cast(pa.int64()).cast(MOMENT)


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_FIRST = re.compile(r"(\d{1,2}) ([A-Za-z]{3})[a-z]* (\d{4}),? (\d{1,2}):(\d{2})(?::(\d{2}))?")
_NUMBER = re.compile(r"\d{1,16}(\.\d+)?")


def moment(text: str) -> datetime | None:
    """Return a time in UTC; None for what is none.

    Parameters
    ----------
    text
        As in ISO 8601, in UTC where it says no zone; ``02 Jan 2020, 10:11``; or seconds or
        milliseconds since 1970.
    """
    text = text.strip().removesuffix(" UTC")
    try:
        if _NUMBER.fullmatch(text):
            seconds = float(text)
            return datetime.fromtimestamp(
                seconds / 1000 if seconds >= MILLISECONDS else seconds, tz=UTC
            )
        if found := _DAY_FIRST.fullmatch(text):
            day, month, *rest = found.groups()
            year, hour, minute, second = (int(part or 0) for part in rest)
            return datetime(
                year, MONTHS.index(month.lower()) + 1, int(day), hour, minute, second, tzinfo=UTC
            )
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def written(column: str, values: pa.Array, table: str) -> pa.Array:
    """Return values as a table's column holds them; null for a fraction where it counts."""
    type_ = TABLES[table][column]
    if pa.types.is_integer(type_):
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2**31))
        return pc.if_else(whole, values, pa.scalar(None, values.type)).cast(type_)
    return values.cast(type_)


def emptied(before: pa.Array, after: pa.Array) -> pa.Array:
    """Return where a value was there before and is not after."""
    there = texts(before) if _is_text(before) else before
    return pc.and_(pc.is_valid(there), pc.is_null(after))


def _is_text(values: pa.Array) -> bool:
    return bool(pa.types.is_string(values.type) or pa.types.is_large_string(values.type))


def _plain(values: pa.Array) -> pa.Array:
    """Return values, looked up where they are categories, as text where they are UUIDs."""
    if pa.types.is_dictionary(values.type):
        return values.cast(values.type.value_type)
    if isinstance(values.type, pa.UuidType):
        return pa.array(
            [None if one is None else str(one) for one in values.to_pylist()], pa.string()
        )
    return values


def one_value(value: Any, rows: int, type_: pa.DataType) -> pa.Array:
    """Return a column of one value."""
    return pa.repeat(pa.scalar(value, type_), rows)
