"""Raw plays to one row per listener, with a count for every row that is dropped.

Grouping by listener happens here, once. Everything later works on rows of listeners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Observation
from pyspark.sql import functions as F

from glue_jobs.arrow import column, floats, group_bounds, lists, whole_groups
from listening.country.listeners import clean_plays
from listening.names import artist_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import Column, DataFrame

PLAYS_PER_PARTITION = 1_000_000
FEWEST_PARTITIONS = 4

LISTENERS = (
    "user_id string, country string, total_scrobbles double, "
    "artist_keys array<string>, playcounts array<double>"
)
"""Schema of cleaned listeners; artists in rank order, null play counts for a listener without."""

DROP_REASONS = ("repeated", "negative_playcount", "no_artist_name", "merged_artist")
_COUNTS = ("plays_in", *DROP_REASONS, "playcount_filled")


@dataclass(frozen=True)
class Cleaning:
    """Cleaned listeners, and the counts that are known once they have been written.

    Parameters
    ----------
    listeners
        The frame of schema `LISTENERS`.
    partitions
        How many parts it has.
    """

    listeners: DataFrame
    partitions: int
    _plays: Observation
    _users: Observation
    _user_ids: Observation
    _listeners: Observation

    def quality(self) -> dict[str, Any]:
        """Return rows in, rows out and rows dropped by reason; only after `listeners` was used."""
        plays, users, user_ids, out = (
            {name: int(value or 0) for name, value in seen.get.items()}
            for seen in (self._plays, self._users, self._user_ids, self._listeners)
        )
        different = user_ids["user_ids"]
        dropped = {"no_user_id": plays["no_user_id"]} | {r: out[r] for r in DROP_REASONS}
        return {
            "plays": {
                "rows_in": plays["rows_in"],
                "rows_out": out["plays_out"],
                "dropped": dropped,
                "playcount_filled": out["playcount_filled"],
            },
            "users": {
                "rows_in": users["rows_in"],
                "rows_out": out["users_out"],
                "dropped": {
                    "no_user_id": users["no_user_id"],
                    "repeated": users["rows_in"] - users["no_user_id"] - different,
                    "no_plays": different - out["users_out"],
                },
            },
            "listeners": {
                "rows_out": out["listeners_out"],
                "without_country": out["without_country"],
                "without_user_row": out["listeners_out"] - out["users_out"],
                "without_playcounts": out["without_playcounts"],
                "with_total_scrobbles": out["with_total_scrobbles"],
            },
        }


def clean(plays: DataFrame, users: DataFrame) -> Cleaning:
    """Group plays by listener and clean them.

    Parameters
    ----------
    plays, users
        As `glue_jobs.raw.read_raw` returns them.
    """
    partitions = max(FEWEST_PARTITIONS, -(-plays.count() // PLAYS_PER_PARTITION))
    seen_plays, seen_users, seen_user_ids, seen_listeners = (
        Observation(name) for name in ("plays", "users", "user_ids", "listeners")
    )
    no_id = F.sum(F.when(_has_id(), 0).otherwise(1)).alias("no_user_id")
    plays = plays.observe(seen_plays, F.count(F.lit(1)).alias("rows_in"), no_id).where(_has_id())
    total = F.when(F.col("total_scrobbles") >= 0, F.col("total_scrobbles"))
    users = (
        users.observe(seen_users, F.count(F.lit(1)).alias("rows_in"), no_id)
        .where(_has_id())
        .repartition(partitions, "user_id")
        .groupBy("user_id")
        .agg(F.max(F.struct("country", total.alias("total_scrobbles"))).alias("user"))
        .observe(seen_user_ids, F.count(F.lit(1)).alias("user_ids"))
    )
    users = users.select("user_id", "user.*", F.lit(True).alias("has_user"))
    ordered = (
        plays.select("user_id", "artist_name", "rank", "playcount")  # Python reads all it is given
        .repartition(partitions, "user_id")
        .join(users, "user_id", "left")
        .sortWithinPartitions(
            "user_id",
            F.col("rank").asc_nulls_last(),
            F.col("playcount").desc_nulls_last(),
            F.col("artist_name").asc_nulls_last(),
        )
    )
    counts = ", ".join(f"{name} long" for name in _COUNTS)
    grouped = ordered.mapInArrow(_clean_partition, f"{LISTENERS}, has_user boolean, {counts}")
    is_left = F.size("artist_keys") > 0
    listeners = (
        grouped.observe(
            seen_listeners,
            *(F.sum(name).alias(name) for name in _COUNTS),
            F.sum(F.size("artist_keys")).alias("plays_out"),
            _count(is_left).alias("listeners_out"),
            _count(is_left & F.col("has_user")).alias("users_out"),
            _count(is_left & F.col("country").isNull()).alias("without_country"),
            _count(is_left & F.col("playcounts").isNull()).alias("without_playcounts"),
            _count(is_left & F.col("total_scrobbles").isNotNull()).alias("with_total_scrobbles"),
        )
        .where(is_left)
        .drop("has_user", *_COUNTS)
    )
    return Cleaning(listeners, partitions, seen_plays, seen_users, seen_user_ids, seen_listeners)


def _has_id() -> Column:
    return F.coalesce(F.col("user_id"), F.lit("")) != ""


def _count(condition: Column) -> Column:
    return F.sum(F.when(condition, 1).otherwise(0))


def _clean_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Turn sorted plays with their listener's columns into one row per listener."""
    for table in whole_groups(batches, "user_id"):
        yield from _clean_listeners(table).to_batches()


def _clean_listeners(table: pa.Table) -> pa.Table:
    users = column(table, "user_id")
    bounds = group_bounds(users)
    n = len(bounds) - 1
    owner = np.repeat(np.arange(n), np.diff(bounds))
    names = column(table, "artist_name").fill_null("").dictionary_encode()
    keys, key_of_name = np.unique(
        np.array([artist_key(name) for name in names.dictionary.to_pylist()], dtype=object),
        return_inverse=True,
    )
    spellings = names.indices.to_numpy(zero_copy_only=False)
    ranks = floats(column(table, "rank"))
    repeated = np.zeros(len(users), dtype=bool)
    repeated[1:] = (np.diff(ranks) == 0) & (np.diff(spellings) == 0) & (np.diff(owner) == 0)
    fresh = np.flatnonzero(~repeated)
    codes = key_of_name[spellings]
    codes[(keys == "")[codes]] = -1

    first = np.concatenate([[0], np.cumsum(np.bincount(owner[fresh], minlength=n))])
    plays = clean_plays(first, codes[fresh], floats(column(table, "playcount"))[fresh])
    artist_keys = pa.array(keys, pa.string()).take(pa.array(codes[fresh][plays.kept]))
    uncounted = np.ones(n, dtype=bool)
    rows = np.repeat(np.arange(n), np.diff(plays.indptr))
    uncounted[rows[~np.isnan(plays.playcounts)]] = False
    listener = table.take(pa.array(bounds[:-1]))
    return pa.table(
        {
            "user_id": listener.column("user_id"),
            "country": listener.column("country"),
            "total_scrobbles": listener.column("total_scrobbles"),
            "artist_keys": lists(artist_keys, plays.indptr),
            "playcounts": lists(pa.array(plays.playcounts), plays.indptr, absent=uncounted),
            "has_user": pc.fill_null(listener.column("has_user"), False),
            "plays_in": np.diff(bounds),
            "repeated": np.bincount(owner[repeated], minlength=n),
            "negative_playcount": plays.negative,
            "no_artist_name": plays.unnamed,
            "merged_artist": plays.merged,
            "playcount_filled": plays.filled,
        }
    )
