"""Glue job: the risk of each listener of a raw batch at a date, the highest first, with reasons.

Arguments, beside AWS's own
---------------------------
data_uri, models_uri
    The data and the models bucket, ``s3://<bucket>/``.
batch = latest
    The batch under ``raw/``.
champion, champion_parameter
    The bundle version to score with; empty for the one that the parameter names.
at
    The date: what happened before that day's beginning, in UTC, is known. Default: the day after
    the log's last.
most_reasons = 50000
    So many of the riskiest get reasons.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from glue_jobs.champion import champion, fetch, fetched
from glue_jobs.churn.counting import accounts, count_days
from glue_jobs.churn.scores import Scoring, score, with_reasons
from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.log_days import log_of
from glue_jobs.raw import RawBatch, chosen_batch
from glue_jobs.runs import publish
from glue_jobs.storage import Storage
from listening.churn.scorer import Scorer
from listening.errors import DataError
from listening.log.plain import parse_time
from listening.resources import output
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEM = SYSTEMS["churn"]
SCORES = output(SYSTEM.name, "scoring")
ROWS_PER_BATCH = 100_000
DAY_S = 24 * 60 * 60
ARGUMENTS = (
    *("data_uri", "batch", "models_uri", "champion", "champion_parameter", "at", "most_reasons"),
)


def main(argv: Sequence[str]) -> None:
    """Read arguments and tables, score, write the table and then the manifest."""
    arguments, now = Arguments(argv, ARGUMENTS), datetime.now(UTC)
    run = arguments.run_id
    at = arguments.get("at", "")
    moment = parse_time(at) if at else None
    if at and moment is None:
        raise DataError(f"--at is {at!r}, but must be a date such as 2024-05-01")
    most_reasons = arguments.get("most_reasons", 50_000)
    target = f"{SCORES}{run}/"
    version = champion(arguments)
    with job_session("scoring", rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        batch = chosen_batch(storage, arguments, system=SYSTEM.name, needs=SYSTEM.needs)
        archive = fetch(Storage(spark, arguments.models_uri), SYSTEM.name, version)
        LOG.info("risks of batch %s by bundle %s", batch, version)
        raw = RawBatch.find(storage, batch, needs=SYSTEM.needs)
        counted = count_days(raw.read("plays"), raw.read("events"), raw.read("tracks"), now=now)
        days = counted.activity.persist()
        by_day = {row["day"]: row["count"] for row in days.groupBy("day").count().collect()}
        quality = counted.quality()
        if not by_day:
            raise DataError(f"{storage.uri(f'raw/{batch}')}: nobody did anything")
        date = int(moment // DAY_S) if moment is not None else log_of(by_day)[1] + 1
        people = days.join(accounts(raw.read("users")), "user_id", "left")
        partitions = days.rdd.getNumPartitions()
        horizons = Scorer(fetched(archive)).days
        risks = score(people.repartition(partitions, "user_id"), Scoring(archive, date), horizons)
        risks = risks.persist()
        longest = f"gone_{horizons[-1]}"
        every = risks.select(longest).toPandas()[longest].to_numpy()
        told = np.sort(every)[::-1][:most_reasons]
        above = float(told[-1]) if len(told) else 2.0
        ordered = risks.orderBy(F.desc(longest), "user_id")
        with_reasons(ordered, archive, horizons[-1], above=above).write.mode("overwrite").parquet(
            storage.uri(f"{target}listeners/")
        )
        listeners = days.select("user_id").distinct().count()
        quality["listeners"] = {
            "rows_in": listeners,
            "rows_out": len(every),
            "dropped": {"not_active_lately": listeners - len(every)},
            "bots": risks.where("is_bot").count(),
        }
        LOG.info("quality: %s", quality)
        publish(
            storage,
            SCORES,
            run,
            {
                "batch": batch,
                "bundle_version": version,
                "parameters": {"at": date * DAY_S, "most_reasons": most_reasons},
                "quality": quality,
                "versions": versions(),
            },
        )
        LOG.info("scoring: published run %s", run)


if __name__ == "__main__":
    main(sys.argv)
