"""Glue job: raw plays, searches and downloads to what each listener did by day.

Arguments, beside AWS's own
---------------------------
data_uri
    The data bucket, ``s3://<bucket>/``.
batch = latest
    The batch under ``raw/``.
max_dropped_share = 0.2
    Largest accepted share of plays that cleaning drops.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from glue_jobs.churn.counting import accounts, count_days
from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.quality import Limits
from glue_jobs.raw import RawBatch, chosen_batch
from glue_jobs.runs import publish
from glue_jobs.storage import Storage
from listening.log.raw_formats import SYNTHETIC
from listening.resources import QUALITY, RAW, output
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEM = SYSTEMS["churn"]
ACTIVITY = output(SYSTEM.name, "activity")
ROWS_PER_BATCH = 100_000
LIMITS = {"max_dropped_share": 0.2}
ARGUMENTS = ("data_uri", "batch", *LIMITS)


def main(argv: Sequence[str]) -> None:
    """Read arguments and tables, count, write tables and then the manifest."""
    arguments, now = Arguments(argv, ARGUMENTS), datetime.now(UTC)
    limits = Limits.of(arguments, LIMITS)
    run = arguments.workflow_run_id or arguments.run_id
    target = f"{ACTIVITY}{run}/"
    with job_session("activity", rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        batch = chosen_batch(storage, arguments, system=SYSTEM.name, needs=SYSTEM.needs)
        LOG.info("activity of batch %s, to %s", batch, storage.uri(target))
        raw = RawBatch.find(storage, batch, needs=SYSTEM.needs)
        counted = count_days(raw.read("plays"), raw.read("events"), raw.read("tracks"), now=now)
        counted.activity.write.mode("overwrite").parquet(storage.uri(f"{target}days/"))
        accounts(raw.read("users")).write.mode("overwrite").parquet(
            storage.uri(f"{target}listeners/")
        )
        quality = counted.quality()
        storage.write_json(target + QUALITY, quality)
        LOG.info("quality: %s", quality)
        plays = quality["plays"]
        limits.check(
            "max_dropped_share",
            1 - plays["rows_out"] / max(plays["rows_in"], 1),
            "the share of plays that are dropped",
        )
        publish(
            storage,
            ACTIVITY,
            run,
            {
                "batch": batch,
                "rows": {
                    "in": sum(quality[table]["rows_in"] for table in ("plays", "events")),
                    "out": sum(quality[table]["rows_out"] for table in ("plays", "events")),
                },
                "synthetic": storage.exists(f"{RAW}{batch}/{SYNTHETIC}"),
                "inputs": storage.hashes(RAW + batch),
                "outputs": {"days/": quality["days"]},
                "parameters": {},
                "versions": versions(),
            },
        )
        LOG.info("activity: published run %s", run)


if __name__ == "__main__":
    main(sys.argv)
