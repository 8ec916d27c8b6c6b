"""Clean the plays of a batch and write what was counted: run by `log.py` in Glue's environment."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from glue_jobs.job import job_session
from glue_jobs.plays import clean_plays
from glue_jobs.raw import RawBatch
from glue_jobs.storage import Storage


def main(folder: Path) -> None:
    """Clean, keep nothing, and write the counts."""
    with job_session("clean", rows_per_batch=100_000) as spark:
        raw = RawBatch.find(Storage(spark, folder.as_uri()), "converted", needs=("plays",))
        log = clean_plays(raw.read("plays"), now=datetime.now(UTC))
        log.plays.write.format("noop").mode("overwrite").save()
        (folder / "quality.json").write_text(json.dumps(log.quality()), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
