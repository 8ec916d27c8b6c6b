"""Count days of a log in partitions of two sizes, in one Spark session: run by `test_days_job.py`.

Plays, events, tracks and users come as JSON lists of objects in a file, times as ISO 8601.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glue_jobs.churn import counting
from glue_jobs.job import job_session
from glue_jobs.raw import SPARK_TYPES
from listening.log.tables import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NAMES = ("plays", "events", "tracks", "users")


def frame(spark: SparkSession, name: str, rows: list[dict[str, Any]]) -> DataFrame:
    """Return rows as `glue_jobs.raw.RawBatch.read` would."""
    columns = TABLES[name].columns
    values = [
        tuple(_value(column.kind, row.get(column.name)) for column in columns) for row in rows
    ]
    schema = ", ".join(f"{column.name} {SPARK_TYPES[column.kind]}" for column in columns)
    return spark.createDataFrame(values, schema)


def _value(kind: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if kind == "time" and value else value


def main(log: str, now: str, sizes: list[str]) -> None:
    """Print the days, the counts and the number of partitions by size, and the accounts."""
    tables = json.loads(Path(log).read_text())
    found: dict[str, Any] = {}
    with job_session("count", rows_per_batch=5) as spark:
        plays, events, tracks, users = (frame(spark, name, tables[name]) for name in NAMES)
        for size in sizes:
            counting.PLAYS_PER_PARTITION = int(size)
            counted = counting.count_days(plays, events, tracks, now=datetime.fromisoformat(now))
            days = [row.asDict() for row in counted.activity.collect()]
            found[size] = {
                "days": days,
                "quality": counted.quality(),
                "partitions": counted.activity.rdd.getNumPartitions(),
            }
        found["accounts"] = [row.asDict() for row in counting.accounts(users).collect()]
    sys.stdout.write("\n" + json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
