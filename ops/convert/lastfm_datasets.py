"""The data sets of Last.fm listeners that research uses: 1K with every play, 360K with counts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

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
    numbers,
    sift,
    written,
)
from ops.convert.tsv import first_rows, read_tsv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.convert.chunks import Chunk
    from ops.convert.sources import Source

PLAYS_1K = ("user_id", "at", "mbid", "artist_name", "track_id", "track_name")
USERS = ("user_id", "gender", "age", "country", "registered")
PLAYS_360K = ("user_id", "mbid", "artist_name", "playcount")

_SHA1 = re.compile(r"[0-9a-f]{40}")
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def recognise(source: Source) -> Recognised | None:
    """Recognise a data set's file by what its fields hold."""
    rows = first_rows(source)
    if not rows:
        return None
    first = rows[0]
    columns: tuple[str, ...]
    if len(first) == len(PLAYS_1K) and _ISO.fullmatch(first[1]):
        columns = ("user_id", "played_at", "track_id", "artist_name", "track_name", "mbid")
        return Recognised(form="Last.fm-1K plays", columns={"plays": columns}, read=_plays)
    if len(first) == len(PLAYS_360K) and _SHA1.fullmatch(first[0]):
        columns = ("user_id", "rank", "artist_name", "playcount", "mbid")
        return Recognised(
            form="Last.fm-360K play counts", columns={"top_artists": columns}, read=_top_artists
        )
    if len(first) == len(USERS) and (_has_header(source) or _SHA1.fullmatch(first[0])):
        columns = ("user_id", "country", "gender", "age", "registered_at")
        return Recognised(form="Last.fm profiles", columns={"users": columns}, read=_users)
    return None


def _has_header(source: Source) -> bool:
    return source.first_lines[0].startswith("#id\t")


def _plays(source: Source) -> Iterator[Chunk]:
    for raw, dropped in read_tsv(source, PLAYS_1K):
        at = pc.strptime(raw["at"], format="%Y-%m-%dT%H:%M:%SZ", unit="us", error_is_null=True)
        named = pc.is_valid(raw["track_id"])
        yield sift(
            "plays",
            {
                "user_id": raw["user_id"],
                "played_at": at.cast(MOMENT),
                "track_id": raw["track_id"],
                "artist_name": raw["artist_name"],
                "track_name": raw["track_name"],
                "mbid": raw["mbid"],
            },
            [
                Rule(NO_LISTENER, pc.is_valid(raw["user_id"])),
                Rule(NO_ARTIST, pc.or_(named, pc.is_valid(raw["artist_name"]))),
                Rule(NO_TRACK, pc.or_(named, pc.is_valid(raw["track_name"]))),
                Rule(NO_TIME, pc.is_valid(raw["at"])),
                Rule(NOT_A_TIME, pc.is_valid(at)),
            ],
            dropped=dropped,
        )


def _top_artists(source: Source) -> Iterator[Chunk]:
    last, rank = "", 0
    for raw, dropped in read_tsv(source, PLAYS_360K):
        playcount = numbers(raw["playcount"])
        chunk = sift(
            "top_artists",
            {
                "user_id": raw["user_id"],
                "artist_name": raw["artist_name"],
                "playcount": playcount,
                "mbid": raw["mbid"],
            },
            [
                Rule(NO_LISTENER, pc.is_valid(raw["user_id"])),
                Rule(NO_ARTIST, pc.is_valid(raw["artist_name"])),
            ],
            dropped=dropped,
            emptied={"playcount": emptied(raw["playcount"], playcount)},
        )
        users = chunk.columns["user_id"].to_pylist()
        ranks = []
        for user in users:
            last, rank = user, rank + 1 if user == last else 1
            ranks.append(rank)
        yield replace(
            chunk, columns={**chunk.columns, "rank": pa.array(ranks, TABLES["top_artists"]["rank"])}
        )


def _users(source: Source) -> Iterator[Chunk]:
    for raw, dropped in read_tsv(source, USERS, header=_has_header(source)):
        age = written("age", numbers(raw["age"]), "users")
        registered = pc.strptime(
            raw["registered"], format="%b %d, %Y", unit="us", error_is_null=True
        ).cast(MOMENT)
        yield sift(
            "users",
            {
                "user_id": raw["user_id"],
                "country": raw["country"],
                "gender": raw["gender"],
                "age": age,
                "registered_at": registered,
            },
            [Rule(NO_LISTENER, pc.is_valid(raw["user_id"]))],
            dropped=dropped,
            emptied={
                "age": emptied(raw["age"], age),
                "registered_at": emptied(raw["registered"], registered),
            },
        )
