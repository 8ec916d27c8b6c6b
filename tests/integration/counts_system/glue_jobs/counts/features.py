"""Glue job: raw plays to plays per listener."""

from __future__ import annotations

import sys

from pyspark.sql import functions as F

from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.raw import RawBatch, latest_batch
from glue_jobs.storage import Storage
from listening.log.raw_formats import SYNTHETIC
from listening.resources import LATEST, MANIFEST, RAW, output

FEATURES = output("counts", "features")


def main(argv: list[str]) -> None:
    """Count, write the listeners of each split, then the manifest."""
    arguments = Arguments(argv, ("data_uri",))
    run = arguments.run_id
    with job_session("features", rows_per_batch=10_000) as spark:
        storage = Storage(spark, arguments.data_uri)
        batch = latest_batch(storage, system="counts", needs=("top_artists",))
        plays = RawBatch.find(storage, batch, needs=("top_artists",)).read("top_artists")
        usable = plays.where(F.col("playcount").between(1, 1e9))  # a number, and no NaN
        split = F.when(F.crc32("user_id") % 5 == 0, "test").otherwise("train")
        listeners = usable.groupBy("user_id").agg(F.sum("playcount").alias("plays"))
        listeners.withColumn("split", split).write.partitionBy("split").parquet(
            storage.uri(f"{FEATURES}{run}/listeners/")
        )
        storage.write_json(
            f"{FEATURES}{run}/{MANIFEST}",
            {
                "run": run,
                "batch": batch,
                "rows": {"in": plays.count(), "out": usable.count()},
                "synthetic": storage.exists(f"{RAW}{batch}/{SYNTHETIC}"),
                "versions": versions(),
            },
        )
        storage.write_json(FEATURES + LATEST, {"run": run})
        LOG.info("features: published run %s", run)


if __name__ == "__main__":
    main(sys.argv)
