"""The steps of the feature jobs beside the original's, in one Spark session.

`features.py` starts it in the environment of the Glue jobs:
``feature_steps.py <folder with raw/sample> <repeats>``. It writes ``steps.json`` and the listener
vectors of both sides to the folder.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.ml.feature import Word2Vec
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from glue_jobs.arrow import read_listeners
from glue_jobs.country import embeddings, svd
from glue_jobs.country.cleaning import clean
from glue_jobs.country.featuriser import Featuriser, listener_frame
from glue_jobs.country.identity import artist_names, spellings
from glue_jobs.country.raw import read_raw
from glue_jobs.country.selection import split
from glue_jobs.job import job_session
from glue_jobs.storage import Storage
from listening.country.artist_table import ArtistFeatures
from listening.country.layout import Block, FeatureLayout

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

DIMENSIONS = 128
PARAMETERS = embeddings.Parameters(
    method="svd",
    dimensions=DIMENSIONS,
    min_listeners=2,
    max_artists=1_000_000,
    iterations=embeddings.ITERATIONS["svd"],
    seed=1,
)


def original_embeddings(plays: DataFrame) -> DataFrame:
    """Word2vec as the original trains it: one pass, window 5, names repeated side by side."""
    repeats = F.round(1 + F.log10(F.greatest("playcount", F.lit(1)))).cast("int")
    sentences = (
        plays.groupBy("user_id")
        .agg(
            F.sort_array(F.collect_list(F.struct("rank", "artist", repeats.alias("n")))).alias("l")
        )
        .select(
            F.flatten(F.transform("l", lambda p: F.array_repeat(p["artist"], p["n"]))).alias("w")
        )
    )
    model = Word2Vec(
        vectorSize=DIMENSIONS,
        windowSize=5,
        minCount=2,
        maxIter=1,
        seed=1,
        inputCol="w",
        outputCol="vector",
    ).fit(sentences)
    return model.getVectors().select(
        F.col("word").alias("artist"), vector_to_array("vector", "float32").alias("vector")
    )


def original_listeners(plays: DataFrame, vectors: DataFrame) -> DataFrame:
    """Mean of artist vectors as the original takes it: join, repartition, collect, aggregate."""
    weight = F.log10(F.col("playcount") + 1)
    scaled = F.transform("vector", lambda number: number * F.col("weight"))
    zeros = F.array_repeat(F.lit(0.0), DIMENSIONS)
    return (
        plays.join(vectors, "artist")
        .withColumn("weight", weight)
        .repartition("user_id")
        .groupBy("user_id")
        .agg(F.collect_list(scaled).alias("rows"), F.sum("weight").alias("total"))
        .select(
            "user_id",
            F.transform(
                F.aggregate(
                    "rows", zeros, lambda total, row: F.zip_with(total, row, lambda a, b: a + b)
                ),
                lambda number: number / F.col("total"),
            ).alias("features"),
        )
    )


def our_embeddings(listeners: DataFrame, names: DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Vocabulary and vectors as the job `embeddings` makes them."""
    artists, _ = embeddings.vocabulary(listeners, names, PARAMETERS)
    return artists, embeddings.learn(listeners, artists, PARAMETERS)


def our_listeners(
    listeners: DataFrame, artists: pd.DataFrame, vectors: np.ndarray, count: int
) -> DataFrame:
    """Return listener vectors as `features` makes them, without what it learns from labels."""
    weights = svd.idf(artists["listeners"].to_numpy(dtype=np.int64), count)
    fit = ArtistFeatures(
        salience=weights,
        matrix=vectors * weights[:, None],
        affinity_bias=np.zeros(0, dtype=np.float32),
        region_starts=np.zeros(0, dtype=np.int32),
    )
    keys = pa.array(artists["artist_key"], pa.string())
    layout = FeatureLayout((Block("vector", DIMENSIONS),))
    frame = listeners.select(
        *listeners.columns,
        F.lit("test").alias("split"),
        F.lit(0).cast("short").alias("fold"),
        F.lit("all").alias("region"),
    )
    return listener_frame(frame, Featuriser(keys, [fit], layout)).select("user_id", "features")


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compute(frame: DataFrame) -> None:
    """Have Spark make every row of a frame and keep none."""
    frame.write.format("noop").mode("overwrite").save()


def measure(spark: SparkSession, folder: Path, repeats: int) -> dict[str, float]:
    """Return the median seconds of each step; both sides start from the same cleaned plays."""
    storage = Storage(spark, folder.as_uri())
    raw = read_raw(storage, "sample")
    cleaning = clean(raw.top_artists, raw.users)
    cleaning.listeners.write.parquet(storage.uri("cleaned"))
    artist_names(spellings(raw.top_artists)).write.parquet(storage.uri("names"))
    listeners = read_listeners(spark, storage.uri("cleaned"), cleaning.partitions)
    names = spark.read.parquet(storage.uri("names"))
    listeners.select(
        "user_id", F.posexplode(F.arrays_zip("artist_keys", "playcounts")).alias("rank", "play")
    ).select(
        "user_id",
        "rank",
        F.col("play.artist_keys").alias("artist"),
        F.coalesce("play.playcounts", F.lit(0.0)).alias("playcount"),
    ).write.parquet(storage.uri("plays"))
    plays = spark.read.parquet(storage.uri("plays"))
    count = listeners.count()

    times: dict[str, list[float]] = {}

    def timed(name: str, action: Callable[[], object]) -> None:
        times.setdefault(name, []).append(seconds(action))

    for _ in range(repeats):
        timed("embeddings_ours", lambda: our_embeddings(listeners, names))
        timed("embeddings_original", lambda: original_embeddings(plays))
    artists, vectors = our_embeddings(listeners, names)
    original_embeddings(plays).write.parquet(storage.uri("vectors"))
    word_vectors = spark.read.parquet(storage.uri("vectors"))
    ours = our_listeners(listeners, artists, vectors, count)
    theirs = original_listeners(plays, word_vectors)
    for _ in range(max(repeats, 3)):
        timed("listeners_ours", lambda: compute(ours))
        timed("listeners_original", lambda: compute(theirs))
    ours.withColumn("split", split()).write.parquet(storage.uri("ours"))
    theirs.withColumn("split", split()).write.parquet(storage.uri("original"))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure and write ``steps.json``."""
    folder, repeats = Path(sys.argv[1]), int(sys.argv[2])
    with job_session("benchmark", rows_per_batch=10_000) as spark:
        found = measure(spark, folder, repeats)
    (folder / "steps.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
