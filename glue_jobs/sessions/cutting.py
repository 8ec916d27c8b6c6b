"""Clean plays to sessions, one row each, and accounts to profiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Observation
from pyspark.sql import functions as F

from glue_jobs.arrow import column, floats, group_bounds, lists, whole_groups
from listening.sessions.cut import SOURCES, cut, play_lengths
from listening.sessions.state import AGES, GENDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt
    from pyspark.sql import DataFrame

SESSIONS = (
    "user_id string, start double, end double, plays int, skips int, artists int, "
    "top_artist string, is_bot boolean, elapsed array<float>, skipped array<boolean>"
)
"""Schema of sessions: times in seconds, UTC; ``elapsed`` and ``skipped`` have an entry a play."""
_COUNTS = tuple(f"from_{source}" for source in SOURCES)

LISTENERS = ("user_id", "gender", "age", "registered", "country")
"""Columns of profiles, see `listening.sessions.state.Profile`."""


@dataclass(frozen=True)
class CutSessions:
    """Sessions, and the counts that are known once they have been used.

    Parameters
    ----------
    sessions
        The frame of schema `SESSIONS`.
    """

    sessions: DataFrame
    _seen: Observation

    def quality(self) -> dict[str, Any]:
        """Return plays in, sessions out, and where plays' lengths came from; after use."""
        seen = {name: int(value or 0) for name, value in self._seen.get.items()}
        return {
            "rows_in": seen["rows_in"],
            "rows_out": seen["rows_out"],
            "of_bots": seen["of_bots"],
            "lengths": {source: seen[f"from_{source}"] for source in SOURCES},
        }


def cut_sessions(plays: DataFrame, tracks: DataFrame, *, gap_s: float) -> CutSessions:
    """Cut clean plays into sessions.

    Parameters
    ----------
    plays
        As `glue_jobs.plays.clean_plays` gives them.
    tracks
        ``track_id`` and ``length_s``; a track that is there twice has its longest length.
    gap_s
        The longest silence within a session.
    """
    shared = plays.sparkSession.sparkContext.broadcast(_lengths(tracks))
    seen = Observation("sessions")

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in whole_groups(batches, "user_id"):
            yield from _sessions(table, shared.value, gap_s).to_batches(max_chunksize=10_000)

    sums = {"rows_in": "plays", **{name: name for name in _COUNTS}}
    sessions = (
        plays.mapInArrow(run, f"{SESSIONS}, " + ", ".join(f"{name} int" for name in _COUNTS))
        .observe(
            seen,
            F.count(F.lit(1)).alias("rows_out"),
            F.sum(F.col("is_bot").cast("int")).alias("of_bots"),
            *(F.sum(name).alias(as_) for as_, name in sums.items()),
        )
        .drop(*_COUNTS)
    )
    return CutSessions(sessions, seen)


def _lengths(tracks: DataFrame) -> pa.Table:
    lengths = (
        tracks.where(F.col("length_s").between(1, 24 * 60 * 60))
        .groupBy("track_id")
        .agg(F.max("length_s").alias("length_s"))
        .orderBy("track_id")
        .toPandas()
    )
    return pa.table(
        {
            "track_id": pa.array(lengths["track_id"], pa.string()),
            "length_s": pa.array(lengths["length_s"], pa.float64()),
        }
    )


def _sessions(table: pa.Table, tracks: pa.Table, gap_s: float) -> pa.Table:
    """Return the sessions of whole listeners."""
    bounds = group_bounds(column(table, "user_id"))
    owner = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    place = pc.index_in(column(table, "track_id"), value_set=column(tracks, "track_id"))
    lengths = play_lengths(
        owner=owner,
        played_s=floats(column(table, "played_s")),
        track_s=floats(column(tracks, "length_s").take(place)),
    )
    started = column(table, "started_at").cast(pa.int64()).to_numpy() / 1e6
    found = cut(owner=owner, started=started, length=lengths.seconds, gap_s=gap_s)
    first = found.first[:-1]
    session = np.repeat(np.arange(len(first)), found.plays)
    artists, top = _artists(table, session, len(first))
    rows = {
        "user_id": column(table, "user_id").take(pa.array(first)),
        "start": found.start,
        "end": found.end,
        "plays": pa.array(found.plays, pa.int32()),
        "skips": pa.array(found.skips, pa.int32()),
        "artists": pa.array(artists, pa.int32()),
        "top_artist": top,
        "is_bot": column(table, "is_bot").take(pa.array(first)),
        "elapsed": lists(pa.array(found.elapsed, pa.float32()), found.first),
        "skipped": lists(pa.array(found.skipped), found.first),
    }
    counted = {
        name: pa.array(np.bincount(session, lengths.source == i, len(first)), pa.int32())
        for i, name in enumerate(_COUNTS)
    }
    return pa.table(rows | counted)


def _artists(
    table: pa.Table, session: npt.NDArray[np.int64], n: int
) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return how many artists each session has, and the one most played; null without names.

    Of several that were played as often, it is the one that was played first.
    """
    names = column(table, "artist_name").dictionary_encode()
    artist = names.indices.fill_null(-1).to_numpy()
    width = len(names.dictionary) + 1
    pair, begins, plays = np.unique(
        session * width + artist + 1, return_index=True, return_counts=True
    )
    of, artist = np.divmod(pair, width)
    named = artist > 0
    of, artist, plays, begins = of[named], artist[named] - 1, plays[named], begins[named]
    order = np.lexsort((begins, -plays, of))
    of, artist = of[order], artist[order]
    top = np.full(n, -1)
    first = np.diff(of, prepend=-1) != 0
    top[of[first]] = artist[first]
    return np.bincount(of, minlength=n), names.dictionary.take(
        pa.array(top, pa.int64(), mask=top < 0)
    )


def profiles(users: DataFrame) -> DataFrame:
    """Return what accounts say, one row a listener, as `LISTENERS` names it."""
    said = F.lower(F.trim("gender"))
    gender = F.coalesce(*(F.when(said == word, value) for word, value in GENDERS.items()))
    return (
        users.where(F.col("user_id").isNotNull())
        .withColumn("gender", gender)
        .withColumn("age", F.when(F.col("age").between(*AGES), F.col("age")))
        .withColumn("registered", F.col("registered_at").cast("double"))
        .groupBy("user_id")
        .agg(*(F.max(name).alias(name) for name in LISTENERS[1:]))
    )
