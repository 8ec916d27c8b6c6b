"""Read raw batches in one Spark session and say what came of each: run by `test_raw.py`."""

from __future__ import annotations

import json
import sys

from glue_jobs.country.raw import read_raw
from glue_jobs.job import job_session
from glue_jobs.storage import Storage
from listening.errors import DataError


def main(root: str, batches: list[str]) -> None:
    """Print the rows of each batch, or why it was refused."""
    with job_session("read", rows_per_batch=1000) as spark:
        found = {}
        for batch in batches:
            storage = Storage(spark, root)
            labelled = any(
                entry.name.startswith("users.") for entry in storage.entries(f"raw/{batch}")
            )
            try:
                raw = read_raw(storage, batch, labelled=labelled)
            except DataError as error:
                found[batch] = str(error)
                continue
            found[batch] = [
                [row.asDict() for row in table.collect()] for table in (raw.top_artists, raw.users)
            ]
    sys.stdout.write("\n" + json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
