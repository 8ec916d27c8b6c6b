"""Glue job: raw plays to cleaned listeners and artist vectors.

Arguments, beside AWS's own
---------------------------
data_uri
    The data bucket, ``s3://<bucket>/``.
batch = latest
    The batch under ``raw/``; ``latest`` is the one whose ``_READY`` is newest.
most_artists = 50
    Of each listener, where a batch has plays and no top artists.
method = svd
    ``svd`` or ``word2vec``.
dimensions = 64
    Numbers in an artist's vector.
min_listeners = 3
    Artists with fewer listeners get no vector.
max_artists = 200000
    At most so many artists, the most heard ones.
iterations = 0
    Passes over the listeners; 0 stands for 4 (svd) or 10 (word2vec).
seed = 1
    Of the random start.
max_dropped_share = 0.2, max_filled_share = 0.5, max_unknown_share = 0.6
    Largest accepted share of plays that are dropped, have their count filled, or are of artists
    without a vector.
max_null_share = 0.9
    Largest accepted share of listeners without total_scrobbles, where any listener has it.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import Observation
from pyspark.sql import functions as F

from glue_jobs.arrow import frame_of, matrix_rows, read_listeners
from glue_jobs.country import svd, word2vec
from glue_jobs.country.cleaning import clean
from glue_jobs.country.identity import artist_names, owners, renamed, spellings
from glue_jobs.country.packing import PLAYS_PER_PASS, pack
from glue_jobs.country.quality import CLEANING, check_cleaning
from glue_jobs.country.raw import COUNTRY, MOST_ARTISTS, read_raw
from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.quality import Limits
from glue_jobs.raw import chosen_batch
from glue_jobs.runs import publish
from glue_jobs.storage import Storage
from listening.errors import DataError
from listening.log.raw_formats import SYNTHETIC
from listening.resources import QUALITY, RAW, output

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

EMBEDDINGS = output("country", "embeddings")
ROWS_PER_BATCH = 100_000
METHODS = ("svd", "word2vec")
ITERATIONS = {"svd": 4, "word2vec": 10}
LISTENERS = "listeners/"
ARTISTS = "artists/"


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """How artist vectors are learned; see the arguments of the job."""

    method: str
    dimensions: int
    min_listeners: int
    max_artists: int
    iterations: int
    seed: int

    @classmethod
    def of(cls, arguments: Arguments) -> Parameters:
        """Read the parameters from the job's arguments."""
        method = arguments.one_of("method", METHODS)
        return cls(
            method=method,
            dimensions=arguments.get("dimensions", 64, least=1),
            min_listeners=arguments.get("min_listeners", 3, least=1),
            max_artists=arguments.get("max_artists", 200_000, least=1),
            iterations=arguments.get("iterations", 0) or ITERATIONS[method],
            seed=arguments.get("seed", 1),
        )


ARGUMENTS = (
    "data_uri",
    "batch",
    "most_artists",
    *(field.name for field in fields(Parameters)),
    *CLEANING,
)


def main(argv: Sequence[str]) -> None:
    """Read arguments and tables, call the functions, write tables and then the manifest."""
    arguments = Arguments(argv, ARGUMENTS)
    parameters, limits = Parameters.of(arguments), Limits.of(arguments, CLEANING)
    most_artists = arguments.get("most_artists", MOST_ARTISTS, least=1)
    run = arguments.workflow_run_id or arguments.run_id
    target = f"{EMBEDDINGS}{run}/"
    with job_session("embeddings", rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        batch = chosen_batch(storage, arguments, system=COUNTRY.name, needs=COUNTRY.needs)
        LOG.info("embeddings of batch %s, to %s", batch, storage.uri(target))

        raw = read_raw(storage, batch, most_artists=most_artists)
        spelt = spellings(raw.top_artists).persist()
        found = owners(spelt, least=parameters.min_listeners)
        top_artists, named = renamed(raw.top_artists, found)
        cleaning = clean(top_artists, raw.users)
        cleaning.listeners.write.mode("overwrite").parquet(storage.uri(target + LISTENERS))
        quality = cleaning.quality()
        if raw.log is not None:
            quality["log"] = raw.log.quality()
        listeners = read_listeners(spark, storage.uri(target + LISTENERS), cleaning.partitions)
        artists, quality["artists"] = vocabulary(listeners, artist_names(spelt), parameters)
        quality["artists"]["spellings_named_by_mbid"] = named
        storage.write_json(target + QUALITY, quality)
        LOG.info("quality: %s", quality)
        if artists.empty:
            raise DataError(
                f"{storage.uri(RAW + batch)}: no artist has {parameters.min_listeners} listeners; "
                "give more listeners or lower --min_listeners"
            )
        check_cleaning(quality, limits)

        vectors = learn(listeners, artists, parameters)
        artist_frame(spark, artists, vectors).write.mode("overwrite").parquet(
            storage.uri(target + ARTISTS)
        )
        publish(
            storage,
            EMBEDDINGS,
            run,
            {
                "batch": batch,
                "rows": {
                    "in": quality["plays"]["rows_in"],
                    "out": quality["plays"]["rows_out"],
                },
                "synthetic": storage.exists(f"{RAW}{batch}/{SYNTHETIC}"),
                "inputs": storage.hashes(RAW + batch),
                "outputs": {LISTENERS: quality["listeners"]["rows_out"], ARTISTS: len(artists)},
                "partitions": cleaning.partitions,
                "listeners": quality["listeners"]["rows_out"],
                "has_total_scrobbles": quality["listeners"]["with_total_scrobbles"] > 0,
                "parameters": asdict(parameters),
                "versions": versions(),
            },
        )
        LOG.info("embeddings: published run %s", run)


def vocabulary(
    listeners: DataFrame, names: DataFrame, parameters: Parameters
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the artists that get a vector, the most heard first.

    Parameters
    ----------
    listeners
        Cleaned listeners.
    names
        What `artist_names` returned.
    parameters
        Its fewest listeners of an artist and most artists hold.

    Returns
    -------
    artists
        ``artist_key``, ``listeners``, ``artist_name``, ``mbid``; a row's place is the artist's id.
    quality
        Artists in and out, and the plays of those left out.
    """
    seen = Observation("artists")
    heard = (
        listeners.select(F.explode("artist_keys").alias("artist_key"))
        .groupBy("artist_key")
        .agg(F.count(F.lit(1)).cast("int").alias("listeners"))
        .observe(seen, F.count(F.lit(1)).alias("in"), F.sum("listeners").alias("plays"))
        .where(F.col("listeners") >= parameters.min_listeners)
        .orderBy(F.col("listeners").desc(), "artist_key")
        .limit(parameters.max_artists)
    )
    artists = (
        heard.join(names, "artist_key").orderBy(F.col("listeners").desc(), "artist_key").toPandas()
    )
    return artists, {
        "in": int(seen.get["in"]),
        "out": len(artists),
        "plays_of_artists_left_out": int(seen.get["plays"] or 0) - int(artists["listeners"].sum()),
    }


def learn(
    listeners: DataFrame, artists: pd.DataFrame, parameters: Parameters
) -> npt.NDArray[np.float32]:
    """Return artist vectors, (n_artists, dimensions); no more dimensions than artists."""
    keys = pa.array(artists["artist_key"], pa.string())
    dimensions = min(parameters.dimensions, len(artists))
    if parameters.method == "word2vec":
        return word2vec.artist_vectors(
            listeners,
            keys,
            dimensions=dimensions,
            iterations=parameters.iterations,
            seed=parameters.seed,
        )
    plays = int(artists["listeners"].sum())
    weights = svd.idf(artists["listeners"].to_numpy(dtype=np.int64), listeners.count())
    packed = pack(listeners, keys, partitions=-(-plays // PLAYS_PER_PASS))
    vectors = packed.apply(
        lambda rows: {
            "vectors": svd.artist_vectors(
                rows,
                weights,
                dimensions=dimensions,
                iterations=parameters.iterations,
                seed=parameters.seed,
            )
        }
    )["vectors"]
    packed.forget()
    return vectors


def artist_frame(
    spark: SparkSession, artists: pd.DataFrame, vectors: npt.NDArray[np.float32]
) -> DataFrame:
    """Return artists with their vectors as a frame."""
    table = pa.table(
        {
            "artist_id": pa.array(np.arange(len(artists)), pa.int32()),
            "artist_key": pa.array(artists["artist_key"], pa.string()),
            "artist_name": pa.array(artists["artist_name"], pa.string()),
            "mbid": pa.array(artists["mbid"], pa.string()),
            "listeners": pa.array(artists["listeners"], pa.int32()),
            "vector": matrix_rows(vectors),
        }
    )
    return frame_of(
        spark,
        table,
        "artist_id int, artist_key string, artist_name string, mbid string, listeners int, "
        "vector array<float>",
    )


if __name__ == "__main__":
    main(sys.argv)
