"""Raw plays to clean ones, for every system: in UTC, in order, each drop counted by its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Observation
from pyspark.sql import functions as F

from glue_jobs.arrow import column, group_bounds, whole_groups
from listening.log.plays import BOT_PLAYS_A_DAY, REASONS, mark, settle, track_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from pyspark.sql import DataFrame

PLAYS_PER_PARTITION = 1_000_000
FEWEST_PARTITIONS = 4

PLAYS = (
    "user_id string, started_at timestamp, played_s double, track_id string, artist_name string, "
    "track_name string, device string, mbid string, overlaps boolean, is_bot boolean"
)
"""Schema of clean plays: ``started_at`` in UTC, ``played_s`` in seconds, null where unknown.

``overlaps`` is a play that begins before an earlier one of the listener has ended; ``is_bot`` holds
for all plays of a listener with too many of them a day.
"""
_AS_THEY_ARE = ("user_id", "track_id", "artist_name", "track_name", "device", "mbid")


@dataclass(frozen=True)
class CleanPlays:
    """Clean plays, and the counts that are known once they have been used.

    Parameters
    ----------
    plays
        The frame of schema `PLAYS`, each listener's within one partition and in order of time.
    """

    plays: DataFrame
    _seen: Observation

    def quality(self) -> dict[str, Any]:
        """Return rows in, rows out and rows dropped by reason; only after `plays` was used."""
        seen = {name: int(value or 0) for name, value in self._seen.get.items()}
        counts = ("rows_in", "rows_out", "overlapping", "without_length", "of_bots", "bots")
        return {
            **{name: seen[name] for name in counts},
            "dropped": {reason: seen[reason] for reason in REASONS},
        }


def clean_plays(
    raw: DataFrame, *, now: datetime, bot_plays_a_day: float = BOT_PLAYS_A_DAY
) -> CleanPlays:
    """Clean the plays of a batch.

    Parameters
    ----------
    raw
        As `glue_jobs.raw.RawBatch.read` returns the table of plays.
    now
        What no play begins after, in UTC.
    bot_plays_a_day
        A listener with more plays on a mean day with plays is flagged as a bot.
    """
    seen = Observation("log")  # another name than those of the cleaning that follows

    def marked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in whole_groups(batches, "listener"):
            yield from _marked(table, now, bot_plays_a_day).to_batches()

    is_kept = F.col("reason").isNull()
    conditions = {
        "rows_in": F.lit(True),
        "rows_out": is_kept,
        "overlapping": F.col("overlaps"),
        "without_length": is_kept & F.col("played_s").isNull(),
        "of_bots": is_kept & F.col("is_bot"),
        "bots": F.col("is_bot") & F.col("is_first"),
        **{reason: F.col("reason") == reason for reason in REASONS},
    }
    plays = (
        raw.select(*_AS_THEY_ARE, "played_at", "ended_at", "played_s")
        .withColumn("listener", F.coalesce("user_id", F.lit("")))
        .repartition(max(FEWEST_PARTITIONS, -(-raw.count() // PLAYS_PER_PARTITION)), "listener")
        .sortWithinPartitions("listener")
        .mapInArrow(marked, f"{PLAYS}, reason string, is_first boolean")
        .observe(
            seen,
            *(F.sum(F.when(holds, 1).otherwise(0)).alias(n) for n, holds in conditions.items()),
        )
        .where(is_kept)
        .drop("reason", "is_first")
    )
    return CleanPlays(plays, seen)


def _marked(table: pa.Table, now: datetime, bot_plays_a_day: float) -> pa.Table:
    """Return whole listeners' plays, those that are none with their reason, as `PLAYS` and it."""
    settled = settle(table, now=now)
    reasons = np.array([*REASONS, None], dtype=object)[settled.reason]
    is_play = settled.reason < 0
    left = table.filter(pa.array(is_play))
    bounds = group_bounds(column(left, "listener"))
    started, played_s = settled.started[is_play], settled.played_s[is_play]
    marks = mark(
        owner=np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)),
        track=track_numbers(left),
        started=started,
        played_s=played_s,
        bot_plays_a_day=bot_plays_a_day,
    )
    order = np.concatenate([np.flatnonzero(is_play)[marks.order], np.flatnonzero(~is_play)])
    none = np.zeros(len(order) - len(marks.order), dtype=bool)
    is_first = np.zeros(len(marks.order), dtype=bool)
    is_first[bounds[:-1]] = True
    reasons = reasons[order]
    reasons[: len(marks.order)][marks.repeated] = "repeated"
    columns = {
        "user_id": column(table, "user_id").take(pa.array(order)),
        "started_at": pa.array(settled.started[order]).cast(pa.timestamp("us", tz="UTC")),
        "played_s": pa.array(settled.played_s[order], from_pandas=True),
        **{name: column(table, name).take(pa.array(order)) for name in _AS_THEY_ARE[1:]},
        "overlaps": np.concatenate([marks.overlaps, none]),
        "is_bot": np.concatenate([marks.is_bot, none]),
        "reason": pa.array(reasons, pa.string()),
        "is_first": np.concatenate([is_first, none]),
    }
    return pa.table(columns)
