"""Glue job: raw plays to countries, with the champion bundle.

Arguments, beside AWS's own
---------------------------
data_uri
    The data bucket, ``s3://<bucket>/``.
batch = latest
    The batch under ``raw/``; nobody's country is needed.
models_uri
    The models bucket, where the archives lie.
champion
    The bundle version to score with; empty for the champion.
champion_parameter
    The parameter that names the champion.
k = 5
    How many countries of each listener.
every_country = false
    Whether to write the probability of every country as well.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from glue_jobs.champion import champion, fetch
from glue_jobs.country.cleaning import clean
from glue_jobs.country.identity import renamed, spellings
from glue_jobs.country.raw import read_raw
from glue_jobs.country.scores import Scorer, owners, score
from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.raw import chosen_batch
from glue_jobs.runs import publish
from glue_jobs.storage import Storage
from listening.resources import output

if TYPE_CHECKING:
    from collections.abc import Sequence


SCORES = output("country", "scoring")
ROWS_PER_BATCH = 10_000
ARGUMENTS = (
    "data_uri",
    "batch",
    "models_uri",
    "champion",
    "champion_parameter",
    "k",
    "every_country",
)


def main(argv: Sequence[str]) -> None:
    """Read arguments and tables, score, write the table and then the manifest."""
    arguments = Arguments(argv, ARGUMENTS)
    run = arguments.run_id
    every = arguments.one_of("every_country", ("false", "true")) == "true"
    k = arguments.get("k", 5, least=1)
    target = f"{SCORES}{run}/"
    version = champion(arguments)
    with job_session("scoring", rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        batch = chosen_batch(storage, arguments, system="country", needs=("top_artists",))
        models = Storage(spark, arguments.models_uri)
        LOG.info("scores of batch %s by bundle %s, to %s", batch, version, storage.uri(target))
        scorer = Scorer(fetch(models, "country", version), k=k, every=every)
        raw = read_raw(storage, batch, labelled=False)
        found = owners(spellings(raw.top_artists), scorer.archive)
        top_artists, _ = renamed(raw.top_artists, found)
        cleaning = clean(top_artists, raw.users)
        score(cleaning.listeners, scorer).write.mode("overwrite").parquet(
            storage.uri(f"{target}listeners/")
        )
        quality = cleaning.quality()
        if raw.log is not None:
            quality["log"] = raw.log.quality()
        LOG.info("quality: %s", quality)
        publish(
            storage,
            SCORES,
            run,
            {
                "batch": batch,
                "bundle_version": version,
                "parameters": {"k": k, "every_country": every},
                "quality": quality,
                "versions": versions(),
            },
        )
        LOG.info("scoring: published run %s", run)


if __name__ == "__main__":
    main(sys.argv)
