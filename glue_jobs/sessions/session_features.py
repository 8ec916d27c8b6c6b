"""Glue job: sessions to features by split, as they were known at each session's start.

Arguments, beside AWS's own
---------------------------
data_uri
    The data bucket, ``s3://<bucket>/``.
sessions_run = latest
    The run of `sessions` to read; in a workflow, the one of the same workflow run.
held_out_share = 0.1
    Share of listeners of whom nothing is trained on: how new ones are forecast is judged by them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from glue_jobs.arrow import whole_groups
from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.runs import finished_run, publish
from glue_jobs.sessions.folding import FEATURES as SCHEMA
from glue_jobs.sessions.folding import SALT, SPLITS, Splitting, fold
from glue_jobs.storage import Storage
from listening.errors import DataError
from listening.resources import QUALITY, output
from listening.sessions.state import FEATURES as NAMES
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa
    from pyspark.sql import DataFrame

SYSTEM = SYSTEMS["sessions"]
SESSIONS = output(SYSTEM.name, "sessions")
FEATURES = output(SYSTEM.name, "session_features")
ROWS_PER_BATCH = 10_000
SESSIONS_PER_PARTITION = 100_000
FEWEST_PARTITIONS = 4
ARGUMENTS = ("data_uri", "sessions_run", "held_out_share")


def main(argv: Sequence[str]) -> None:
    """Read arguments and tables, call the functions, write tables and then the manifest."""
    arguments = Arguments(argv, ARGUMENTS)
    held_out = arguments.get("held_out_share", 0.1)
    if not 0 < held_out <= 0.5:
        raise DataError(f"--held_out_share is {held_out:g}, but must be above 0 and at most 0.5")
    run = arguments.run_id
    target = f"{FEATURES}{run}/"
    with job_session("session_features", rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        manifest = finished_run(storage, arguments, system=SYSTEM.name, job="sessions")
        source = f"{SESSIONS}{manifest['run']}/"
        LOG.info("features of %s, to %s", storage.uri(source), storage.uri(target))
        sessions = spark.read.parquet(storage.uri(f"{source}sessions/"))
        listeners = spark.read.parquet(storage.uri(f"{source}listeners/"))
        gap_s = float(manifest["parameters"]["gap_s"])
        kept = sessions.where(~F.col("is_bot"))
        # The start of the last session: until then the log surely goes on.
        rows, log_ends = kept.agg(F.count(F.lit(1)), F.max("start")).first() or (0, None)
        splitting = Splitting(held_out=held_out, log_ends=log_ends or 0.0, gap_s=gap_s)
        people = kept.join(listeners, "user_id", "left")
        partitions = max(FEWEST_PARTITIONS, -(-rows // SESSIONS_PER_PARTITION))
        folded(people, splitting, partitions).write.mode("overwrite").partitionBy("split").parquet(
            storage.uri(f"{target}sessions/")
        )
        features = spark.read.schema(SCHEMA).parquet(storage.uri(f"{target}sessions/"))
        profiles(features, listeners).write.mode("overwrite").parquet(
            storage.uri(f"{target}profiles/")
        )
        quality = count(features, sessions, splitting)
        storage.write_json(target + QUALITY, quality)
        LOG.info("quality: %s", quality)
        for split, n in quality["sessions"]["splits"].items():
            if not n:  # SageMaker refuses a channel without an object
                nothing = spark.createDataFrame([], SCHEMA).drop("split").coalesce(1)
                nothing.write.mode("overwrite").parquet(
                    f"{storage.uri(target)}sessions/split={split}/"
                )
        if not quality["sessions"]["splits"]["test"]:
            raise DataError(
                f"{storage.uri(source)}: too few sessions to learn from and to judge on; give a "
                "longer log"
            )
        publish(
            storage,
            FEATURES,
            run,
            {
                "sessions_run": manifest["run"],
                "batch": manifest["batch"],
                "rows": manifest["rows"],
                "inputs": manifest["inputs"],
                "outputs": {"sessions/": sum(quality["sessions"]["splits"].values())},
                "synthetic": manifest["synthetic"],
                "features": list(NAMES),
                "log_ends": log_ends,
                "salt": SALT,
                "parameters": {**manifest["parameters"], "held_out_share": held_out},
                "versions": versions(),
            },
        )
        LOG.info("session_features: published run %s", run)


def folded(sessions: DataFrame, splitting: Splitting, partitions: int) -> DataFrame:
    """Return features of the schema `folding.FEATURES`; each listener's in order of time."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in whole_groups(batches, "user_id"):
            yield from fold(table, splitting).to_batches(max_chunksize=ROWS_PER_BATCH)

    return (
        sessions.repartition(partitions, "user_id")
        .sortWithinPartitions("user_id", "start")
        .mapInArrow(run, SCHEMA)
    )


def profiles(features: DataFrame, listeners: DataFrame) -> DataFrame:
    """Return what the training sessions say of each listener, and the account.

    ``summary`` is what was known before the last of them. Of artists that top as many sessions, the
    top artist is the last by name.
    """
    train = features.where(F.col("split") == "train")
    topped = F.struct(F.count("top_artist").alias("sessions"), "top_artist")
    tops = train.groupBy("user_id", "top_artist").agg(topped.alias("topped"))
    top = tops.groupBy("user_id").agg(F.max("topped")["top_artist"].alias("top_artist"))
    figures = train.groupBy("user_id").agg(
        F.count(F.lit(1)).alias("sessions"),
        F.avg("length").alias("mean_s"),
        F.median("length").alias("median_s"),
        F.max("length").alias("longest_s"),
        F.sum("plays").alias("plays"),
        F.max_by("summary", "number").alias("summary"),
    )
    return figures.join(top, "user_id").join(listeners, "user_id", "left")


def count(features: DataFrame, sessions: DataFrame, splitting: Splitting) -> dict[str, Any]:
    """Return sessions in, out by split, and left out by reason."""
    unfinished = F.col("end") + splitting.gap_s >= splitting.log_ends
    rows_in, of_bots, going_on = sessions.agg(
        F.count(F.lit(1)),
        F.count_if(F.col("is_bot")),
        F.count_if(~F.col("is_bot") & unfinished),
    ).first() or (0, 0, 0)
    found = {row["split"]: row["count"] for row in features.groupBy("split").count().collect()}
    return {
        "sessions": {
            "rows_in": rows_in,
            "dropped": {"of_bots": of_bots, "unfinished": going_on},
            "splits": {split: found.get(split, 0) for split in SPLITS},
        }
    }


if __name__ == "__main__":
    main(sys.argv)
