"""Glue job: raw plays to forecasts at a moment, with the champion bundle.

Each listener of the log gets a row: the forecast of the session that goes on at the moment, or of
one that would begin then.

Arguments, beside AWS's own
---------------------------
data_uri
    The data bucket, ``s3://<bucket>/``.
batch = latest
    The batch under ``raw/``.
models_uri
    The models bucket, where the archives lie.
champion
    The bundle version to score with; empty for the champion.
champion_parameter
    The parameter that names the champion.
at
    The moment, as a time in UTC; what comes after it is left out. Empty for the log's end.
longer_than = 1800
    Seconds: the probability that the session is longer.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from glue_jobs.champion import champion, fetch, fetched
from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.plays import clean_plays
from glue_jobs.raw import RawBatch, chosen_batch
from glue_jobs.runs import publish
from glue_jobs.sessions.cutting import cut_sessions, profiles
from glue_jobs.sessions.scores import Scorer, score
from glue_jobs.storage import Storage
from listening.errors import DataError
from listening.log.plain import parse_time
from listening.resources import output
from listening.sessions.forecaster import Forecaster
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEM = SYSTEMS["sessions"]
SCORES = output(SYSTEM.name, "scoring")
ROWS_PER_BATCH = 100_000
ARGUMENTS = (
    *("data_uri", "batch", "models_uri", "champion", "champion_parameter", "at", "longer_than"),
)


def main(argv: Sequence[str]) -> None:
    """Read arguments and tables, forecast, write the table and then the manifest."""
    arguments, now = Arguments(argv, ARGUMENTS), datetime.now(UTC)
    run = arguments.run_id
    at = arguments.get("at", "")
    if at and parse_time(at) is None:
        raise DataError(f"--at is {at!r}, but must be a time such as 2024-05-01T18:00:00Z")
    limit = arguments.get("longer_than", 1800.0)
    target = f"{SCORES}{run}/"
    version = champion(arguments)
    with job_session("scoring", rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        batch = chosen_batch(storage, arguments, system=SYSTEM.name, needs=SYSTEM.needs)
        models = Storage(spark, arguments.models_uri)
        LOG.info("forecasts of batch %s by bundle %s", batch, version)
        archive = fetch(models, SYSTEM.name, version)
        raw = RawBatch.find(storage, batch, needs=SYSTEM.needs)
        log = clean_plays(raw.read("plays"), now=now)
        plays = log.plays
        if moment := parse_time(at) if at else None:
            began = F.col("started_at").cast("double")
            heard = F.least("played_s", moment - began)  # what was heard by then
            known = F.when(F.col("played_s").isNotNull(), heard)
            plays = plays.where(began <= moment).withColumn("played_s", known)
        gap_s = Forecaster(fetched(archive)).gap_s
        found = cut_sessions(plays, raw.read("tracks"), gap_s=gap_s)
        sessions = found.sessions.persist()
        ends = sessions.agg(F.max("end")).first()
        if ends is None or ends[0] is None:
            raise DataError(f"{storage.uri(f'raw/{batch}')}: no plays before {at or 'its end'}")
        scorer = Scorer(archive, float(moment or ends[0]), limit)
        people = sessions.join(profiles(raw.read("users")), "user_id", "left")
        score(people, scorer).write.mode("overwrite").parquet(storage.uri(f"{target}listeners/"))
        quality = {"log": log.quality(), "sessions": found.quality()}
        LOG.info("quality: %s", quality)
        publish(
            storage,
            SCORES,
            run,
            {
                "batch": batch,
                "bundle_version": version,
                "parameters": {"at": scorer.at, "longer_than": limit},
                "quality": quality,
                "versions": versions(),
            },
        )
        LOG.info("scoring: published run %s", run)


if __name__ == "__main__":
    main(sys.argv)
