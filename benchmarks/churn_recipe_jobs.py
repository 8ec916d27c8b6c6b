"""The recipe's way to features: an aggregation and a join for each feature and window, at one date.

``python benchmarks/churn_recipe_jobs.py BATCH TARGET DATE`` in the environment of the Glue jobs, as
`processes.in_glue` starts it: a ready batch in, features of the date (days since 1970) out.
"""

from __future__ import annotations

import sys
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

WINDOWS = (1, 3, 7, 14, 30)
KINDS = ("play", "search", "download")
LABEL = 14
FULL_SHARE = 0.8


def events_of(spark: SparkSession, batch: str) -> DataFrame:
    """Return plays and events as the recipe's one table of what was done."""
    tracks = spark.read.parquet(f"{batch}/tracks.parquet")
    plays = spark.read.parquet(f"{batch}/plays").join(tracks, "track_id", "left")
    events = spark.read.parquet(f"{batch}/events")
    day = F.floor(F.col("at").cast("double") / 86_400).cast("int").alias("day")
    played = plays.withColumnRenamed("played_at", "at").select(
        "user_id", day, F.lit("play").alias("kind"), "played_s", "length_s", "device"
    )
    return played.unionByName(events.select("user_id", day, "kind"), allowMissingColumns=True)


def features_of(events: DataFrame, date: int) -> DataFrame:
    """Return the features of one date, each aggregated by itself and joined to the rest."""
    before = events.where(F.col("day") < date)
    recent = before.where(F.col("day") >= date - max(WINDOWS))
    population = recent.select("user_id").distinct()
    parts = [
        events.where((F.col("day") >= date) & (F.col("day") < date + LABEL))
        .select("user_id")
        .distinct()
        .withColumn("stays", F.lit(1))
    ]
    for kind in KINDS:
        own = recent.where(F.col("kind") == kind)
        parts += [windowed(own, F.count(F.lit(1)), f"{kind}s", date, days) for days in WINDOWS]
        parts.append(own.groupBy("user_id").agg(since(date).alias(f"recency_{kind}")))
    parts.append(recent.groupBy("user_id").agg(since(date).alias("recency")))
    plays = recent.where(F.col("kind") == "play")
    full = plays.where(F.col("played_s") >= FULL_SHARE * F.col("length_s"))
    parts += [windowed(plays, F.sum("played_s"), "seconds", date, days) for days in WINDOWS]
    parts += [windowed(full, F.count(F.lit(1)), "full", date, days) for days in WINDOWS]
    parts.append(plays.groupBy("user_id").agg(F.first("device").alias("device")))
    joined: DataFrame = reduce(
        lambda so_far, part: so_far.join(part, "user_id", "left"), parts, population
    )
    return joined.fillna(0)


def windowed(rows: DataFrame, value: Column, name: str, date: int, days: int) -> DataFrame:
    """Return a feature of the days before the date."""
    inside = rows.where(F.col("day") >= date - days)
    return inside.groupBy("user_id").agg(value.alias(f"{name}_{days}"))


def since(date: int) -> Column:
    """Return the days since the last of a listener's rows."""
    return F.lit(date) - F.max("day")


def main(batch: str, target: str, date: int) -> None:
    """Read, reckon and write."""
    spark = SparkSession.builder.appName("recipe").getOrCreate()
    events = events_of(spark, batch).cache()
    features_of(events, date).write.mode("overwrite").parquet(target)
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
