"""Logs of a music-box app: plays, downloads and searches, tab-separated without a header."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from listening.errors import DataError
from ops.convert.chunks import (
    MOMENT,
    NO_ARTIST,
    NO_LISTENER,
    NO_TIME,
    NO_TRACK,
    NOT_A_TIME,
    TABLES,
    Recognised,
    Rule,
    emptied,
    moments,
    numbers,
    one_value,
    sift,
)
from ops.convert.tsv import first_rows, read_tsv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ops.convert.chunks import Chunk
    from ops.convert.sources import Source

PLAY = (
    "uid",
    "device",
    "song_id",
    "song_type",
    "song_name",
    "singer",
    "play_time",
    "song_length",
    "paid_flag",
)
DOWN = ("uid", "device", "song_id", "song_name", "singer", "paid_flag")
SEARCH = ("uid", "device", "time_stamp", "search_query")
DEVICES = {"ar", "ip"}
"""Android and iPhone."""

_UNKNOWN = pa.scalar(None, pa.float64())
_DAY = re.compile(r"(?<!\d)(20\d{2})-?(\d{2})-?(\d{2})(?!\d)")


def recognise(source: Source) -> Recognised | None:
    """Recognise a log by its number of fields and the devices in its second."""
    rows = first_rows(source)
    devices = sum(row[1].strip() in DEVICES for row in rows)
    if not rows or devices <= len(rows) / 2:
        return None
    return _LOGS.get(len(rows[0]))


def day_of(source: Source) -> datetime:
    """Return the day that a log of plays or downloads is of.

    Raises
    ------
    DataError
        Neither its name nor the caller says.
    """
    found = _DAY.search(source.name.rpartition("/")[2])
    try:
        day = date(*map(int, found.groups())) if found else source.day
    except ValueError:
        day = source.day
    if day is None:
        raise DataError(
            f"{source.name}: rows of this log have no time and its name has no date such as "
            "20170330_play.log; rename it, or give --date"
        )
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _plays(source: Source) -> Iterator[Chunk]:
    day = day_of(source)
    for raw, dropped in read_tsv(source, PLAY):
        track_id = _track_id(raw)
        played_s, length_s = numbers(raw["play_time"]), numbers(raw["song_length"])
        yield sift(
            "plays",
            {
                "user_id": raw["uid"],
                "played_at": one_value(day, len(track_id), MOMENT),
                "track_id": track_id,
                "artist_name": raw["singer"],
                "track_name": raw["song_name"],
                "played_s": played_s,
                "device": raw["device"],
            },
            [
                Rule(NO_LISTENER, pc.is_valid(raw["uid"])),
                Rule(NO_ARTIST, pc.or_(pc.is_valid(track_id), pc.is_valid(raw["singer"]))),
                Rule(NO_TRACK, pc.or_(pc.is_valid(track_id), pc.is_valid(raw["song_name"]))),
            ],
            dropped=dropped,
            emptied={"played_s": emptied(raw["play_time"], played_s)},
        )
        yield sift(
            "tracks",
            {
                "track_id": track_id,
                "artist_name": raw["singer"],
                "track_name": raw["song_name"],
                "length_s": pc.if_else(pc.greater(length_s, 0), length_s, _UNKNOWN),
            },
            [Rule(NO_TRACK, pc.is_valid(track_id))],
            dropped=dropped,
        )


def _track_id(raw: Mapping[str, pa.Array]) -> pa.Array:
    """Return the track's number; null where it has none, as a file of the listener's own."""
    right = pc.match_substring_regex(raw["song_id"], r"^0*[1-9]\d*$")
    return pc.if_else(right, raw["song_id"], pa.scalar(None, pa.string()))


def _downloads(source: Source) -> Iterator[Chunk]:
    day = day_of(source)
    for raw, dropped in read_tsv(source, DOWN):
        track_id = _track_id(raw)
        yield sift(
            "events",
            {
                "user_id": raw["uid"],
                "at": one_value(day, len(track_id), MOMENT),
                "kind": one_value("download", len(track_id), TABLES["events"]["kind"]),
                "track_id": track_id,
            },
            [Rule(NO_LISTENER, pc.is_valid(raw["uid"]))],
            dropped=dropped,
            emptied={"track_id": emptied(raw["song_id"], track_id)},
        )


def _searches(source: Source) -> Iterator[Chunk]:
    for raw, dropped in read_tsv(source, SEARCH):
        at = moments(raw["time_stamp"])
        yield sift(
            "events",
            {
                "user_id": raw["uid"],
                "at": at,
                "kind": one_value("search", len(at), TABLES["events"]["kind"]),
            },
            [
                Rule(NO_LISTENER, pc.is_valid(raw["uid"])),
                Rule(NO_TIME, pc.is_valid(raw["time_stamp"])),
                Rule(NOT_A_TIME, pc.is_valid(at)),
            ],
            dropped=dropped,
        )


def _log(
    kind: str, columns: Mapping[str, tuple[str, ...]], read: Callable[[Source], Iterator[Chunk]]
) -> Recognised:
    return Recognised(form=f"music-box {kind} log", columns=columns, read=read)


_LOGS = {
    len(PLAY): _log(
        "play",
        {
            "plays": (
                "user_id",
                "played_at",
                "track_id",
                "artist_name",
                "track_name",
                "played_s",
                "device",
            ),
            "tracks": ("track_id", "artist_name", "track_name", "length_s"),
        },
        _plays,
    ),
    len(DOWN): _log("download", {"events": ("user_id", "at", "kind", "track_id")}, _downloads),
    len(SEARCH): _log("search", {"events": ("user_id", "at", "kind")}, _searches),
}
