"""The original's way from raw plays to features, in one Spark session.

`pipeline.py` starts it in the environment of the Glue jobs: ``original_features.py <data folder>``
with ``raw/sample`` in it. Play counts are cast and filled from the neighbours in rank, word2vec
learns artist vectors, a listener is the weighted mean of these plus the log of the total scrobbles.
It writes ``original/listeners`` by split and region, and a manifest of the kept countries.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from feature_steps import DIMENSIONS, original_embeddings, original_listeners
from pyspark.sql import Window
from pyspark.sql import functions as F

from glue_jobs.country.features import Parameters, described
from glue_jobs.country.raw import read_raw
from glue_jobs.country.selection import count_labels, select
from glue_jobs.job import job_session
from glue_jobs.storage import Storage
from listening.country.layout import Block, FeatureLayout
from listening.regions import default_regions
from listening.resources import MANIFEST

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TARGET = "original/"
LAYOUT = FeatureLayout((Block("vector", DIMENSIONS), Block("log_total_scrobbles", 1)))


def filled(plays: DataFrame) -> DataFrame:
    """Return plays with whole counts; one that is no number is the mean of its neighbours in rank.

    Two neighbours are averaged, a single one is taken as it is, and without any the play goes.
    """
    beside = Window.partitionBy("user_id").orderBy("rank")
    count = F.when(F.col("playcount") >= 0, F.floor("playcount")).cast("double")
    near = F.array_compact(
        F.array(F.lag("playcount").over(beside), F.lead("playcount").over(beside))
    )
    mean = F.aggregate(near, F.lit(0.0), lambda total, one: total + one) / F.size(near)
    return (
        plays.select(
            "user_id", "rank", F.col("artist_name").alias("artist"), count.alias("playcount")
        )
        .withColumn("playcount", F.coalesce("playcount", F.when(F.size(near) > 0, mean)))
        .where(F.col("artist").isNotNull() & F.col("playcount").isNotNull())
    )


def main() -> None:
    """Read raw tables, write features and then the manifest."""
    with job_session("original", rows_per_batch=10_000) as spark:
        storage = Storage(spark, Path(sys.argv[1]).as_uri())
        raw = read_raw(storage, "sample")
        filled(raw.top_artists).write.parquet(storage.uri(f"{TARGET}plays"))
        plays = spark.read.parquet(storage.uri(f"{TARGET}plays"))
        original_embeddings(plays).write.parquet(storage.uri(f"{TARGET}artists"))
        vectors = spark.read.parquet(storage.uri(f"{TARGET}artists"))

        users = raw.users.where(F.length("user_id") > 0).dropDuplicates(["user_id"])
        selection = select(
            count_labels(users),
            default_regions(),
            least=Parameters.min_listeners_per_country,
            source=storage.uri("raw/sample/"),
        )
        scrobbles = F.log10(F.greatest("total_scrobbles", F.lit(0.0)) + 1).cast("float")
        (
            original_listeners(plays, vectors)
            .join(selection.apply(users, folds=1), "user_id")
            .select(
                "user_id",
                "country",
                "split",
                "region",
                F.concat(
                    F.col("features").cast("array<float>"),
                    F.array(F.coalesce(scrobbles, F.lit(0.0).cast("float"))),
                ).alias("features"),
            )
            .write.partitionBy("split", "region")
            .parquet(storage.uri(f"{TARGET}listeners"))
        )
        storage.write_json(
            TARGET + MANIFEST,
            {
                "format_version": 1,
                "run": "original",
                "synthetic": True,
                "layout": LAYOUT.to_json(),
                **described(selection),
            },
        )


if __name__ == "__main__":
    main()
