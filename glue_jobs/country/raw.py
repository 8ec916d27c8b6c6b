"""What country reads of a batch: users, and top artists, made from plays if they are not there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from glue_jobs.plays import clean_plays
from glue_jobs.raw import RawBatch
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from glue_jobs.plays import CleanPlays
    from glue_jobs.storage import Storage

COUNTRY = SYSTEMS["country"]
MOST_ARTISTS = 50


@dataclass(frozen=True)
class CountryRaw:
    """What country reads of a batch.

    Parameters
    ----------
    top_artists
        ``user_id``, ``artist_name``, ``mbid`` (strings), ``rank``, ``playcount`` (doubles, null
        where there is no number).
    users
        ``user_id``, ``country`` (strings), ``total_scrobbles`` (double); empty where the batch has
        no table of users.
    log
        The plays that top artists were made from; None where they were delivered.
    """

    top_artists: DataFrame
    users: DataFrame
    log: CleanPlays | None


def read_raw(
    storage: Storage, batch: str, *, labelled: bool = True, most_artists: int = MOST_ARTISTS
) -> CountryRaw:
    """Read a batch of raw data.

    Parameters
    ----------
    storage
        Where the batch lies.
    batch
        Its name.
    labelled
        Whether there must be users, with a column of countries.
    most_artists
        Of each listener, where they are made from plays.

    Raises
    ------
    DataError
        The batch, a table or a column is missing, a table is empty or cannot be read.
    """
    needs = COUNTRY.needs if labelled else ("top_artists",)
    raw = RawBatch.find(storage, batch, needs=needs)
    users = raw.read("users", required=("country",) if labelled else ())
    users = users.select("user_id", "country", "total_scrobbles")
    if "top_artists" in raw:
        return CountryRaw(raw.read("top_artists"), users, None)
    plays = raw.read("plays", required=() if "tracks" in raw else ("artist_name",))
    if "tracks" in raw:
        names = raw.read("tracks").groupBy("track_id").agg(F.max("artist_name").alias("of_track"))
        plays = plays.join(names, "track_id", "left").withColumn(
            "artist_name", F.coalesce("artist_name", "of_track")
        )
    log = clean_plays(plays, now=datetime.now(UTC))
    return CountryRaw(top_artists(log.plays, most=most_artists).persist(), users, log)


def top_artists(plays: DataFrame, *, most: int) -> DataFrame:
    """Return each listener's most played artists, as the table of top artists has them.

    Parameters
    ----------
    plays
        Clean ones.
    most
        Artists of each listener; among equally often played ones, the first by name.
    """
    artists = (
        plays.where(F.trim(F.coalesce("artist_name", F.lit(""))) != "")
        .groupBy("user_id", "artist_name")
        .agg(F.count(F.lit(1)).cast("double").alias("playcount"), F.max("mbid").alias("mbid"))
    )
    order = Window.partitionBy("user_id").orderBy(F.desc("playcount"), "artist_name")
    return artists.withColumn("rank", F.row_number().over(order).cast("double")).where(
        F.col("rank") <= most
    )
