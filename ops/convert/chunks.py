"""Tables of the listening log, and their rows on the way from a source."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from listening.log import tables as log
from listening.log.values import ARROW_TYPES, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ops.convert.plays import Play
    from ops.convert.sources import Dropped, Source

MOMENT = ARROW_TYPES["time"]
TABLES: dict[str, dict[str, pa.DataType]] = {
    table.name: {
        column.name: pa.int64() if column.kind == "integer" else ARROW_TYPES[column.kind]
        for column in table.columns
    }
    for table in log.TABLES.values()
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
    return read(_plain(values), "number")


def moments(values: pa.Array) -> pa.Array:
    """Return values as moments in UTC; null where they are none.

    Parameters
    ----------
    values
        Times, dates, counts since 1970, or text; see `listening.log.values.read` and `moment`.
    """
    values = _plain(values)
    found = read(values, "time")
    if not _is_text(values) or not pc.any(emptied(values, found)).as_py():
        return found
    others = values.filter(emptied(values, found)).to_pylist()
    return pc.replace_with_mask(
        found, emptied(values, found), pa.array([moment(text) for text in others], MOMENT)
    )


MILLISECONDS = 10_000_000_000  # from here on, what looks like seconds is that: year 2286


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
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
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
