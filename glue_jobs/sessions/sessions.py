"""Glue job: raw plays to sessions.

Arguments, beside AWS's own
---------------------------
data_uri
    The data bucket, ``s3://<bucket>/``.
batch = latest
    The batch under ``raw/``.
gap_minutes = 30
    A session ends after a silence that is longer, counted from the latest end of its plays.
max_dropped_share = 0.2
    Largest accepted share of plays that cleaning drops.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.plays import clean_plays
from glue_jobs.quality import Limits
from glue_jobs.raw import RawBatch, chosen_batch
from glue_jobs.runs import publish
from glue_jobs.sessions.cutting import cut_sessions, profiles
from glue_jobs.storage import Storage
from listening.log.raw_formats import SYNTHETIC
from listening.resources import QUALITY, RAW, output
from listening.sessions.cut import DEFAULT_PLAY_S, GAP_S
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEM = SYSTEMS["sessions"]
SESSIONS = output(SYSTEM.name, "sessions")
ROWS_PER_BATCH = 100_000
LIMITS = {"max_dropped_share": 0.2}
ARGUMENTS = ("data_uri", "batch", "gap_minutes", *LIMITS)


def main(argv: Sequence[str]) -> None:
    """Read arguments and tables, call the functions, write tables and then the manifest."""
    arguments, now = Arguments(argv, ARGUMENTS), datetime.now(UTC)
    limits = Limits.of(arguments, LIMITS)
    gap_s = 60 * arguments.get("gap_minutes", GAP_S / 60, least=1)
    run = arguments.workflow_run_id or arguments.run_id
    target = f"{SESSIONS}{run}/"
    with job_session("sessions", rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        batch = chosen_batch(storage, arguments, system=SYSTEM.name, needs=SYSTEM.needs)
        LOG.info("sessions of batch %s, to %s", batch, storage.uri(target))
        raw = RawBatch.find(storage, batch, needs=SYSTEM.needs)
        log = clean_plays(raw.read("plays"), now=now)
        found = cut_sessions(log.plays, raw.read("tracks"), gap_s=gap_s)
        found.sessions.write.mode("overwrite").parquet(storage.uri(f"{target}sessions/"))
        profiles(raw.read("users")).write.mode("overwrite").parquet(
            storage.uri(f"{target}listeners/")
        )
        quality = {"log": log.quality(), "sessions": found.quality()}
        storage.write_json(target + QUALITY, quality)
        LOG.info("quality: %s", quality)
        limits.check(
            "max_dropped_share",
            1 - quality["log"]["rows_out"] / max(quality["log"]["rows_in"], 1),
            "the share of plays that are dropped",
        )
        publish(
            storage,
            SESSIONS,
            run,
            {
                "batch": batch,
                "rows": {"in": quality["log"]["rows_in"], "out": quality["log"]["rows_out"]},
                "synthetic": storage.exists(f"{RAW}{batch}/{SYNTHETIC}"),
                "inputs": storage.hashes(RAW + batch),
                "outputs": {"sessions/": quality["sessions"]["rows_out"]},
                "parameters": {"gap_s": gap_s, "default_play_s": DEFAULT_PLAY_S},
                "versions": versions(),
            },
        )
        LOG.info("sessions: published run %s", run)


if __name__ == "__main__":
    main(sys.argv)
