"""Clean plays and events to what listeners heard and looked for, by track and day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Observation
from pyspark.sql import functions as F

from glue_jobs.arrow import column, floats
from listening.charts.parts import Heard
from listening.countries import country_code
from listening.log.plays import EARLIEST_US
from listening.log.tables import DOWNLOAD, EVENT_KINDS, SEARCH
from listening.regions import default_regions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from pyspark.sql import DataFrame

HEARD = (
    "user_id string, country string, number bigint, track string, day int, plays double, "
    "seconds double, searches double, downloads double"
)
"""Schema: ``number`` stands for the listener where no id may; days since 1970."""
REASONS = ("no_user_id", "no_time", "no_track", "unknown_kind", "before_2000", "in_the_future")
"""Why an event is dropped; the first that holds counts."""
_SUMMED = ("plays", "seconds", "searches", "downloads")


@dataclass(frozen=True)
class CleanEvents:
    """Events that tell a track, and the counts that are known once they have been used."""

    events: DataFrame
    _seen: Observation

    def quality(self) -> dict[str, Any]:
        """Return rows in, rows out and rows dropped by reason; after use."""
        seen = {name: int(value or 0) for name, value in self._seen.get.items()}
        return {
            "rows_in": seen["rows_in"],
            "rows_out": seen["rows_out"],
            "dropped": {reason: seen[reason] for reason in REASONS},
        }


def clean_events(raw: DataFrame, *, now: datetime) -> CleanEvents:
    """Clean the events of a batch.

    Parameters
    ----------
    raw
        As `glue_jobs.raw.RawBatch.read` returns the table of events.
    now
        What none happened after, in UTC.
    """
    seen, micros = Observation("events"), F.unix_micros("at")
    kind = F.lower(F.trim("kind"))
    holds = {
        "no_user_id": F.col("user_id").isNull(),
        "no_time": F.col("at").isNull(),
        "no_track": F.col("track_id").isNull(),
        "unknown_kind": ~F.coalesce(kind.isin(*EVENT_KINDS), F.lit(False)),
        "before_2000": micros < EARLIEST_US,
        "in_the_future": micros > int(now.timestamp() * 1e6),
    }
    reason = F.coalesce(*(F.when(holds[name], name) for name in REASONS))
    events = (
        raw.withColumn("reason", reason)
        .withColumn("kind", kind)
        .observe(
            seen,
            F.count(F.lit(1)).alias("rows_in"),
            F.count_if(F.col("reason").isNull()).alias("rows_out"),
            *(F.count_if(F.col("reason") == name).alias(name) for name in REASONS),
        )
        .where(F.col("reason").isNull())
        .drop("reason")
    )
    return CleanEvents(events, seen)


def heard(plays: DataFrame, events: DataFrame, users: DataFrame, *, run: str) -> DataFrame:
    """Return what listeners heard, of schema `HEARD`, each one's rows within one partition.

    Parameters
    ----------
    plays
        As `glue_jobs.plays.clean_plays` gives them, without bots.
    events
        As `clean_events` gives them.
    users
        As `glue_jobs.raw.RawBatch.read` returns the table of users.
    run
        The run's id: a listener has another number in each.
    """
    told = (F.coalesce(name, F.lit("")) for name in ("artist_name", "track_name"))
    names = F.concat_ws("\t", *told)
    played = plays.select(
        "user_id",
        F.coalesce("track_id", names).alias("track"),
        F.floor(F.unix_micros("started_at") / 86_400_000_000).cast("int").alias("day"),
        F.lit(1.0).alias("plays"),
        F.col("played_s").alias("seconds"),
        *(F.lit(0.0).alias(name) for name in _SUMMED[2:]),
    )
    looked = events.select(
        "user_id",
        F.col("track_id").alias("track"),
        F.floor(F.unix_micros("at") / 86_400_000_000).cast("int").alias("day"),
        *(F.lit(0.0).alias(name) for name in _SUMMED[:2]),
        (F.col("kind") == SEARCH).cast("double").alias("searches"),
        (F.col("kind") == DOWNLOAD).cast("double").alias("downloads"),
    )
    partitions = plays.rdd.getNumPartitions()
    fields = ", ".join(f for f in HEARD.split(", ") if f.split()[0] not in ("country", "number"))

    def added(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = whole(batches)
        if table is not None:
            yield from _added(table).to_batches(max_chunksize=100_000)

    rows = played.unionByName(looked).repartition(partitions, "user_id").mapInArrow(added, fields)
    return rows.join(countries(users).repartition(partitions, "user_id"), "user_id", "left").select(
        "user_id",
        "country",
        F.xxhash64(F.lit(run), "user_id").alias("number"),
        *("track", "day", *_SUMMED),
    )


def countries(users: DataFrame) -> DataFrame:
    """Return the ISO 3166 codes of listeners whose country is known: ``user_id``, ``country``."""
    labels = [row["country"] for row in users.select("country").distinct().collect()]
    codes = {label: code for label in labels if (code := country_code(label)) is not None}
    region_of = default_regions().region_of
    table = [(label, code) for label, code in codes.items() if code in region_of]
    known = users.sparkSession.createDataFrame(table, "label string, code string")
    return (
        users.join(F.broadcast(known), users["country"] == known["label"])
        .groupBy("user_id")
        .agg(F.min("code").alias("country"))
    )


def whole(batches: Iterable[pa.RecordBatch]) -> pa.Table | None:
    """Return a partition as one table; None if nothing is in it."""
    parts = [batch for batch in batches if batch.num_rows]
    return pa.Table.from_batches(parts).combine_chunks() if parts else None


@dataclass(frozen=True)
class Hearing:
    """A partition of `HEARD`: rows of whole listeners, and what their numbers stand for."""

    heard: Heard
    users: pa.Table
    tracks: pa.Array

    @classmethod
    def of(cls, table: pa.Table) -> Hearing:
        """Read a partition."""
        users = column(table, "user_id").dictionary_encode()
        tracks = column(table, "track").dictionary_encode()
        owner = users.indices.to_numpy().astype(np.int64)
        first = np.zeros(len(users.dictionary), dtype=np.int64)
        first[owner[::-1]] = np.arange(len(owner))[::-1]
        rows = Heard.of(
            owner=owner,
            track=tracks.indices.to_numpy().astype(np.int64),
            day=column(table, "day").to_numpy().astype(np.int64),
            **{name: floats(column(table, name)) for name in _SUMMED},
        )
        names = [name for name in ("country", "number") if name in table.column_names]
        return cls(rows, table.select(names).take(pa.array(first)), tracks.dictionary)


def _added(table: pa.Table) -> pa.Table:
    found = Hearing.of(table)
    users = column(table, "user_id").dictionary_encode().dictionary
    rows = found.heard
    return pa.table(
        {
            "user_id": users.take(pa.array(rows.owner)),
            "track": found.tracks.take(pa.array(rows.track)),
            "day": pa.array(rows.day, pa.int32()),
            **{name: getattr(rows, name) for name in _SUMMED},
        }
    )
