"""Clean a log of plays, and aggregate it, in one Spark session: run by `test_plays.py`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

from glue_jobs.country.cleaning import clean
from glue_jobs.country.raw import read_raw
from glue_jobs.job import job_session
from glue_jobs.plays import clean_plays
from glue_jobs.raw import RawBatch
from glue_jobs.storage import Storage


def main(root: str) -> None:
    """Print the clean plays of a batch, their counts, and two batches' top artists."""
    with job_session("clean", rows_per_batch=7) as spark:
        storage = Storage(spark, root)
        log = clean_plays(
            RawBatch.find(storage, "log", needs=("plays",)).read("plays"),
            now=datetime(2024, 1, 1, tzinfo=UTC),
            bot_plays_a_day=20,
        )
        found = {
            "plays": [row.asDict() for row in log.plays.collect()],
            "quality": log.quality(),
            "derived": artists(storage, "log"),
            "delivered": artists(storage, "delivered"),
        }
    sys.stdout.write("\n" + json.dumps(found, default=str))


def artists(storage: Storage, batch: str) -> list[list[object]]:
    """Return the top artists of a batch in order, once they can be cleaned as they are in a job."""
    raw = read_raw(storage, batch, labelled=False, most_artists=3)
    cleaning = clean(raw.top_artists, raw.users)
    cleaning.listeners.write.format("noop").mode("overwrite").save()
    assert cleaning.quality()["plays"]["rows_out"] == raw.top_artists.count()
    assert raw.log is None or raw.log.quality()["rows_in"] > 0
    table = raw.top_artists
    columns = ("user_id", "rank", "artist_name", "playcount", "mbid")
    return sorted([row[name] for name in columns] for row in table.collect())


if __name__ == "__main__":
    main(sys.argv[1])
