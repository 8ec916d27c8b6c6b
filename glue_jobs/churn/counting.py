"""Plays and events to what listeners did by day, in one pass over the log.

Names are hashed before they leave Spark, whole partitions are counted by numpy: nothing is grouped,
sorted or joined by Spark but the one shuffle that brings a listener's rows together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Observation
from pyspark.sql import functions as F

from glue_jobs.arrow import column, floats
from glue_jobs.plays import FEWEST_PARTITIONS, PLAYS_PER_PARTITION
from listening.churn.days import COUNTS, EVENTS, KINDS, Activity, Done, days_of
from listening.log.plays import ROW_REASONS, mark, settle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from pyspark.sql import Column, DataFrame

ACTIVITY = ", ".join(
    (
        "user_id string, day int",
        *(f"{name} {'double' if name == 'seconds' else 'int'}" for name in COUNTS),
        "device string",
    )
)
"""Schema of activity: a row a listener and day with something, days since 1970."""
LISTENERS = "user_id string, came int"
"""Schema of accounts: the day on which each was made."""

TABLES = ("plays", "events")
REASONS = (*ROW_REASONS, "unknown_kind", "repeated")
"""Why a row is dropped; the first that holds counts."""
_UNKNOWN = -1  # kind
_COUNTED = tuple((table, reason) for table in TABLES for reason in ("kept", *REASONS))


@dataclass(frozen=True)
class CountedDays:
    """Activity, and the counts that are known once it has been used.

    Parameters
    ----------
    activity
        The frame of schema `ACTIVITY`.
    """

    activity: DataFrame
    _seen: Observation

    def quality(self) -> dict[str, Any]:
        """Return rows in, kept and dropped by reason of each table, and days out; after use."""
        seen = {name: int(value or 0) for name, value in self._seen.get.items()}
        found: dict[str, Any] = {"days": seen["days"]}
        for table in TABLES:
            dropped = {reason: seen[f"{table}_{reason}"] for reason in REASONS}
            kept = seen[f"{table}_kept"]
            found[table] = {
                "rows_in": kept + sum(dropped.values()),
                "rows_out": kept,
                "dropped": dropped,
            }
        return found


def count_days(
    plays: DataFrame, events: DataFrame, tracks: DataFrame, *, now: datetime
) -> CountedDays:
    """Count what listeners did by day.

    Parameters
    ----------
    plays, events, tracks
        As `glue_jobs.raw.RawBatch.read` returns these tables.
    now
        What nothing begins after, in UTC.
    """
    seen = Observation("days")
    shared = plays.sparkSession.sparkContext.broadcast(_lengths(tracks))
    rows = _of_plays(plays).unionByName(_of_events(events))
    partitions = max(FEWEST_PARTITIONS, -(-rows.count() // PLAYS_PER_PARTITION))

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts = [batch for batch in batches if batch.num_rows]
        if parts:
            yield from _counted(pa.Table.from_batches(parts), shared.value, now).to_batches()

    is_day = F.col("counted").isNull()
    activity = (
        rows.repartition(partitions, "user_id")
        .mapInArrow(run, f"{ACTIVITY}, counted array<bigint>")
        .observe(
            seen,
            F.sum(F.when(is_day, 1).otherwise(0)).alias("days"),
            *(
                F.sum(F.get("counted", F.lit(place))).alias(f"{table}_{reason}")
                for place, (table, reason) in enumerate(_COUNTED)
            ),
        )
        .where(is_day)
        .drop("counted")
    )
    return CountedDays(activity, seen)


def accounts(users: DataFrame) -> DataFrame:
    """Return the days on which accounts were made, of schema `LISTENERS`."""
    day = F.floor(F.col("registered_at").cast("double") / (24 * 60 * 60)).cast("int")
    known = users.where(F.col("user_id").isNotNull() & F.col("registered_at").isNotNull())
    return known.groupBy("user_id").agg(F.min(day).alias("came"))


def _of_plays(plays: DataFrame) -> DataFrame:
    artist = _filled("artist_name")
    track = F.when(F.col("track_id").isNotNull(), F.xxhash64("track_id")).when(
        artist.isNotNull(), F.xxhash64(artist, F.coalesce("track_name", F.lit("")))
    )
    return plays.select(
        "user_id",
        F.lit(KINDS.index("plays")).cast("byte").alias("kind"),
        *("played_at", "ended_at", "played_s"),
        track.alias("track_id"),
        F.when(artist.isNotNull(), F.xxhash64(artist)).alias("artist"),
        _filled("device").alias("device"),
    )


def _filled(text: str) -> Column:
    """Return a column of text, null where it is blank."""
    return F.when(F.col(text).rlike(r"\S"), F.col(text))


def _of_events(events: DataFrame) -> DataFrame:
    said = F.lower(F.trim("kind"))
    kind = F.coalesce(
        *(F.when(said == word, KINDS.index(name)) for word, name in EVENTS.items()),
        F.lit(_UNKNOWN),
    )
    nothing: dict[str, Column] = {
        name: F.lit(None).cast(kind_)
        for name, kind_ in (
            *(("ended_at", "timestamp"), ("played_s", "double"), ("artist", "bigint")),
            ("device", "string"),
        )
    }
    return events.select(
        "user_id",
        kind.cast("byte").alias("kind"),
        F.col("at").alias("played_at"),
        F.xxhash64(kind, "track_id").alias("track_id"),
        *(value.alias(name) for name, value in nothing.items()),
    )


def _lengths(tracks: DataFrame) -> pa.Table:
    """Return hashes of tracks, and their lengths in seconds."""
    found = (
        tracks.where(F.col("track_id").isNotNull() & F.col("length_s").between(1, 24 * 60 * 60))
        .groupBy(F.xxhash64("track_id").alias("track"))
        .agg(F.max("length_s").alias("length_s"))
        .orderBy("track")
        .toPandas()
    )
    return pa.table(
        {
            "track": pa.array(found["track"], pa.int64()),
            "length_s": pa.array(found["length_s"], pa.float64()),
        }
    )


def _counted(
    table: pa.Table,
    lengths: pa.Table,
    now: datetime,
) -> pa.Table:
    """Return the activity of whole listeners, and a last row with the counts of `_COUNTED`."""
    kind = column(table, "kind").to_numpy().astype(np.int64)
    settled = settle(table, now=now)
    reason = np.where((settled.reason < 0) & (kind == _UNKNOWN), len(ROW_REASONS), settled.reason)
    kept = np.flatnonzero(reason < 0)
    table = table.select(["user_id", "track_id", "artist", "device"]).take(pa.array(kept))
    owner, users = _numbers(column(table, "user_id"))
    device, devices = _numbers(column(table, "device"))
    artist, _ = _numbers(column(table, "artist"))
    track = column(table, "track_id").to_numpy()
    place = pc.index_in(column(table, "track_id"), value_set=column(lengths, "track"))
    started, played_s = settled.started[kept], settled.played_s[kept]
    marked = mark(
        owner=owner, track=track, started=started, played_s=played_s, told=(artist, device)
    )
    order, again = marked.order[~marked.repeated], kept[marked.order[marked.repeated]]
    reason[again] = REASONS.index("repeated")
    done = Done(
        owner=owner[order],
        at=started[order],
        kind=kind[kept[order]],
        played_s=played_s[order],
        length_s=floats(column(lengths, "length_s").take(place))[order],
        artist=artist[order],
        device=device[order],
    )
    found = days_of(done, np.full(len(users), np.nan))
    return _table(found, users, devices, _counts(kind, reason))


def _numbers(values: pa.Array) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return each value's rank, -1 for null, and what the ranks stand for."""
    found = values.dictionary_encode()
    order = pc.sort_indices(found.dictionary)
    rank = np.full(len(order) + 1, -1)
    rank[order.to_numpy()] = np.arange(len(order))
    places = found.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    return rank[places], found.dictionary.take(order)


def _counts(kind: npt.NDArray[np.int64], reason: npt.NDArray[np.int64]) -> list[int]:
    """Return how many rows of each table were kept, and dropped for each reason."""
    is_event = kind != KINDS.index("plays")
    width = len(REASONS) + 1
    counts = np.bincount(is_event * width + reason + 1, minlength=len(TABLES) * width)
    return [int(n) for n in counts]


def _table(activity: Activity, users: pa.Array, devices: pa.Array, counted: list[int]) -> pa.Table:
    n = len(activity.day)
    device = activity.device
    columns: dict[str, pa.Array] = {
        "user_id": users.take(pa.array(activity.owner)),
        "day": pa.array(activity.day, pa.int32()),
    }
    for place, name in enumerate(COUNTS):
        kind = pa.float64() if name == "seconds" else pa.int32()
        columns[name] = pa.array(activity.counts[:, place]).cast(kind)
    columns["device"] = devices.take(pa.array(device, mask=device < 0))
    columns["counted"] = pa.nulls(n, pa.list_(pa.int64()))
    days = pa.table(columns)
    last = {name: pa.nulls(1, days.schema.field(name).type) for name in columns}
    return pa.concat_tables([days, pa.table(last | {"counted": pa.array([counted])})])
