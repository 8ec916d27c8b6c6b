"""Count what the jobs read of raw batches, in one Spark session: run by `test_agreement.py`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

from glue_jobs.country.cleaning import clean
from glue_jobs.job import SPARK_ERRORS, first_cause, job_session
from glue_jobs.plays import clean_plays
from glue_jobs.raw import RawBatch
from glue_jobs.storage import Storage
from listening.errors import DataError


def counts(storage: Storage, batch: str) -> Any:
    """Return what there is of each table, and what the jobs that clean them count."""
    raw = RawBatch.find(storage, batch, needs=())
    found: dict[str, Any] = {}
    if "plays" in raw:
        plays = clean_plays(raw.read("plays"), now=datetime.now(UTC))
        plays.plays.write.format("noop").mode("overwrite").save()
        found["plays"] = plays.quality()
    if "top_artists" in raw:
        cleaning = clean(raw.read("top_artists"), raw.read("users"))
        cleaning.listeners.write.format("noop").mode("overwrite").save()
        found["country"] = cleaning.quality()
    for name in raw.tables:
        rows = [row.asDict() for row in raw.read(name).collect()]
        found[name] = [{k: str(v) for k, v in r.items() if v is not None} for r in rows] + [
            found.get(name)
        ]
    return found


def main(root: str, batches: list[str]) -> None:
    """Print the counts of each batch, or why it was refused."""
    with job_session("count", rows_per_batch=1000) as spark:
        found: dict[str, Any] = {}
        for batch in batches:
            try:
                found[batch] = counts(Storage(spark, root), batch)
            except (DataError, *SPARK_ERRORS) as error:
                found[batch] = first_cause(error)
    sys.stdout.write("\n" + json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
