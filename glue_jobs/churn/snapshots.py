"""Glue job: activity to what was known of listeners at several dates, and who was gone then.

Arguments, beside AWS's own
---------------------------
data_uri
    The data bucket, ``s3://<bucket>/``.
activity_run = latest
    The run of `activity` to read; in a workflow, the one of the same workflow run.
every_days = 7
    Days from one date to the next.
horizons = 3,7,14
    Days that a listener may be gone for.
log_ends = together
    ``each``: a listener's log ends with their last day, as with exports of their own.
bots_quantile = 0.999
    Of a date's plays in the 30 days before: who has more is flagged as a bot, and not trained on.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from glue_jobs.churn.counting import ACTIVITY as DAYS
from glue_jobs.churn.counting import LISTENERS
from glue_jobs.churn.dates import Dates
from glue_jobs.churn.snapshotting import (
    LOG_ENDS,
    PARTS,
    REST,
    SALT,
    SNAPSHOTS,
    SPLITS,
    Plan,
    make_snapshots,
)
from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.log_days import log_of
from glue_jobs.plays import FEWEST_PARTITIONS
from glue_jobs.runs import finished_run, publish
from glue_jobs.storage import Storage
from listening.churn.features import FEATURES, POPULATION
from listening.errors import DataError
from listening.resources import QUALITY, output
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame

SYSTEM = SYSTEMS["churn"]
ACTIVITY = output(SYSTEM.name, "activity")
TARGET = output(SYSTEM.name, "snapshots")
ROWS_PER_BATCH = 100_000
DAYS_PER_PARTITION = 500_000
LONGEST = 90
"""Days that a horizon may have."""
MOST_DEVICES = 5
"""So many of the devices used most have a feature of their own."""
ARGUMENTS = ("data_uri", "activity_run", "every_days", "horizons", "log_ends", "bots_quantile")


def main(argv: Sequence[str]) -> None:
    """Read arguments and tables, call the functions, write tables and then the manifest."""
    arguments = Arguments(argv, ARGUMENTS)
    every = arguments.get("every_days", 7, least=1)
    horizons = _horizons(arguments.get("horizons", "3,7,14"))
    log_ends = arguments.one_of("log_ends", LOG_ENDS)
    quantile = arguments.get("bots_quantile", 0.999)
    if not 0.5 <= quantile <= 1:
        raise DataError(f"--bots_quantile is {quantile:g}, but must be from 0.5 to 1")
    run = arguments.run_id
    target = f"{TARGET}{run}/"
    with job_session("snapshots", rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        manifest = finished_run(storage, arguments, system=SYSTEM.name, job="activity")
        source = f"{ACTIVITY}{manifest['run']}/"
        LOG.info("snapshots of %s, to %s", storage.uri(source), storage.uri(target))
        days = spark.read.schema(DAYS).parquet(storage.uri(f"{source}days/"))
        listeners = spark.read.schema(LISTENERS).parquet(storage.uri(f"{source}listeners/"))
        by_day = {row["day"]: row["count"] for row in days.groupBy("day").count().collect()}
        if not by_day:
            raise DataError(f"{storage.uri(source)}: nobody did anything; give another log")
        log = log_of(by_day)
        dates = Dates.of(log, every=every, ahead=max(horizons))
        if not dates.test:
            raise DataError(
                f"{storage.uri(source)}: the log has {log[1] - log[0] + 1} days; at least "
                f"{POPULATION + max(horizons) + 1} are needed: {POPULATION} before a date and "
                f"{max(horizons)} after it; give a longer log, or shorter --horizons"
            )
        partitions = max(FEWEST_PARTITIONS, -(-sum(by_day.values()) // DAYS_PER_PARTITION))
        people = days.repartition(partitions, "user_id").join(
            listeners.repartition(partitions, "user_id"), "user_id", "left"
        )
        plan = Plan(dates, horizons, log_ends)
        make_snapshots(people, plan).write.mode("overwrite").partitionBy("split").parquet(
            storage.uri(f"{target}snapshots/")
        )
        found = spark.read.schema(SNAPSHOTS).parquet(storage.uri(f"{target}snapshots/"))
        quality = count(found, manifest, horizons)
        storage.write_json(target + QUALITY, quality)
        LOG.info("quality: %s", quality)
        if empty := [split for split in PARTS if not quality["splits"][split]]:
            raise DataError(
                f"{storage.uri(source)}: too few listeners or dates, none of them for "
                f"{' and '.join(empty)}; give a log of more listeners, or a longer one"
            )
        if not quality["splits"][REST]:  # SageMaker refuses a channel without an object
            nothing = spark.createDataFrame([], SNAPSHOTS).drop("split").coalesce(1)
            nothing.write.mode("overwrite").parquet(f"{storage.uri(target)}snapshots/split={REST}/")
        publish(
            storage,
            TARGET,
            run,
            {
                "activity_run": manifest["run"],
                "batch": manifest["batch"],
                "rows": manifest["rows"],
                "inputs": manifest["inputs"],
                "outputs": {"snapshots/": sum(quality["splits"].values())},
                "synthetic": manifest["synthetic"],
                "features": list(FEATURES),
                "horizons": list(horizons),
                "devices": devices(found),
                "bots_above": bots(found, quantile),
                "log": list(log),
                "dates": dates.to_json(),
                "salt": SALT,
                "parameters": {
                    "every_days": every,
                    "log_ends": log_ends,
                    "bots_quantile": quantile,
                },
                "versions": versions(),
            },
        )
        LOG.info("snapshots: published run %s", run)


def _horizons(text: str) -> tuple[int, ...]:
    """Read the horizons."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= LONGEST for part in parts):
        raise DataError(
            f"--horizons is {text!r}, but must be days from 1 to {LONGEST} such as 3,7,14"
        )
    return tuple(sorted({int(part) for part in parts}))


def devices(snapshots: DataFrame) -> list[str]:
    """Return the devices of most training rows, in order of their names."""
    of_train = snapshots.where((F.col("split") == "train") & F.col("device").isNotNull())
    most = of_train.groupBy("device").count().orderBy(F.desc("count"), "device")
    return sorted(row["device"] for row in most.limit(MOST_DEVICES).collect())


def bots(snapshots: DataFrame, quantile: float) -> dict[str, float]:
    """Return, by date, the plays in the 30 days before above which a listener is a bot."""
    plays = F.col("features")[FEATURES.index("plays_30")]
    found = snapshots.groupBy("date").agg(F.percentile_approx(plays, quantile).alias("plays"))
    return {str(row["date"]): float(row["plays"]) for row in found.orderBy("date").collect()}


def count(
    snapshots: DataFrame, activity: dict[str, Any], horizons: Sequence[int]
) -> dict[str, Any]:
    """Return days in, snapshots out by split, and the share of each horizon that was gone."""
    shares = [
        F.avg(F.col("gone")[place].cast("int")).alias(f"gone_{days}")
        for place, days in enumerate(horizons)
    ]
    rows = snapshots.groupBy("split").agg(F.count(F.lit(1)).alias("rows"), *shares).collect()
    found = {row["split"]: row.asDict() for row in rows}
    return {
        "days_in": activity["outputs"]["days/"],
        "splits": {split: found.get(split, {}).get("rows", 0) for split in SPLITS},
        "gone": {
            split: {str(days): round(row[f"gone_{days}"], 6) for days in horizons}
            for split, row in sorted(found.items())
        },
    }


if __name__ == "__main__":
    main(sys.argv)
