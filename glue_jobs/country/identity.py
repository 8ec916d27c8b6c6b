"""Which artist a row names: by its name, and by its MBID where the name is no artist's.

As at the endpoint, which looks an artist up by name and, where it does not know the name, by MBID.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Window
from pyspark.sql import functions as F

from glue_jobs.arrow import column, group_bounds
from listening.names import artist_key, display_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame

SPELLINGS = "artist_key string, artist_name string, spelling string, mbid string, plays long"
"""Schema of spellings: the artist's key, the name as it is shown and as it is written, the MBID it
comes with, and rows; an artist's spellings lie in one partition."""


def spellings(top_artists: DataFrame) -> DataFrame:
    """Return every way in which an artist is written, schema `SPELLINGS`."""
    return (
        top_artists.where(F.col("artist_name").isNotNull())
        .groupBy("artist_name", "mbid")
        .agg(F.count(F.lit(1)).alias("plays"))
        .mapInArrow(_name_artists, SPELLINGS)
        .repartition("artist_key")
    )


def artist_names(spelt: DataFrame) -> DataFrame:
    """Return each artist's most written name and MBID: ``artist_key, artist_name, mbid``."""
    return spelt.mapInArrow(_choose_names, "artist_key string, artist_name string, mbid string")


def owners(spelt: DataFrame, *, least: int) -> DataFrame:
    """Return spellings that stand for another artist: ``artist_name, mbid, owner``.

    A name in fewer than `least` rows is no artist's; it stands for the artist, of those that are,
    whom most rows of its MBID name.
    """
    total = F.sum("plays").over(Window.partitionBy("artist_key"))
    known = spelt.withColumn("is_known", total >= least).where(F.length("mbid") > 0)
    return known.repartition("mbid").mapInArrow(
        _choose_owners, "artist_name string, mbid string, owner string"
    )


def renamed(top_artists: DataFrame, found: DataFrame) -> tuple[DataFrame, int]:
    """Return rows in which what `owners` found has its owner's name, and how many it found."""
    found = found.persist()
    count = found.count()
    if not count:
        return top_artists, 0
    rows = (
        top_artists.join(F.broadcast(found), ["artist_name", "mbid"], "left")
        .withColumn("artist_name", F.coalesce("owner", "artist_name"))
        .drop("owner")
    )
    return rows, count


def _name_artists(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        names = batch.column("artist_name").to_pylist()
        yield pa.RecordBatch.from_arrays(
            [
                pa.array([artist_key(name) for name in names], pa.string()),
                pa.array([display_name(name) for name in names], pa.string()),
                batch.column("artist_name"),
                batch.column("mbid"),
                batch.column("plays"),
            ],
            names=["artist_key", "artist_name", "spelling", "mbid", "plays"],
        ).filter(pc.field("artist_key") != "")


def _choose_owners(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Choose the owner of each MBID; among equals, the last in order."""
    rows = [batch for batch in batches if batch.num_rows]
    if not rows:
        return
    spelt = pa.Table.from_batches(rows)
    owner = _most_played(spelt.filter(pc.field("is_known")), "mbid", "artist_key")
    strangers = spelt.filter(~pc.field("is_known")).select(["spelling", "mbid"])
    joined = strangers.join(owner.rename_columns(["mbid", "owner"]), "mbid", join_type="inner")
    yield from (
        joined.select(["spelling", "mbid", "owner"])
        .rename_columns(["artist_name", "mbid", "owner"])
        .to_batches()
    )


def _choose_names(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Choose among all spellings and MBIDs of each artist; among equals, the last in order."""
    rows = [batch for batch in batches if batch.num_rows]
    if not rows:
        return
    spelt = pa.Table.from_batches(rows)
    has_mbid = pc.greater(pc.utf8_length(pc.field("mbid")), 0)
    names = _most_played(spelt, "artist_key", "artist_name")
    mbids = _most_played(spelt.filter(has_mbid), "artist_key", "mbid")
    yield from names.join(mbids, "artist_key").to_batches()


def _most_played(spelt: pa.Table, key: str, name: str) -> pa.Table:
    """Return the most played value of a column for each key: the key and it."""
    ranked = (
        spelt.group_by([key, name])
        .aggregate([("plays", "sum")])
        .sort_by([(key, "ascending"), ("plays_sum", "ascending"), (name, "ascending")])
        .select([key, name])
    )
    last = group_bounds(column(ranked, key))[1:] - 1
    return ranked.take(pa.array(last))
