"""Glue job: recent captured answers beside those of the champion's test listeners.

Arguments, beside AWS's own
---------------------------
data_uri
    The data bucket, ``s3://<bucket>/``.
captures_uri, reports_uri
    Where requests are captured and evaluations lie, both in the models bucket.
champion
    The bundle version to look at; empty for the champion.
champion_parameter
    The parameter that names the champion.
environment
    Dimension of the metrics; without it none are sent.
days = 7
    How far back captures are read.
least_listeners = 1000
    With fewer captured listeners nothing is called a breach: chance alone moves the figures.
max_artist_coverage, max_list_length, max_confidence, max_country = 0.2
    The largest accepted shift of each measure, see `glue_jobs.shift`.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

from glue_jobs.captures import capture_folders, recent_profile
from glue_jobs.country.scoring import champion
from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.shift import breaches, shifts
from glue_jobs.storage import Storage
from listening.answer_profile import MEASURES, listeners_of
from listening.errors import ResourceError
from listening.resources import DRIFT, LATEST, MANIFEST, NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame

    from listening.answer_profile import Profile

ROWS_PER_BATCH = 10_000
MOST_SHIFT = 0.2
LIMITS = {measure: f"max_{measure}" for measure in MEASURES}
ARGUMENTS = (
    *("data_uri", "captures_uri", "reports_uri", "champion", "champion_parameter"),
    *("environment", "days", "least_listeners", *LIMITS.values()),
)


def main(argv: Sequence[str]) -> None:
    """Read arguments, reference and captures, compare, write the figures and then the metrics."""
    arguments = Arguments(argv, ARGUMENTS)
    run, version = arguments.run_id, champion(arguments)
    days, least = arguments.get("days", 7), arguments.get("least_listeners", 1000)
    limits = {measure: arguments.get(name, MOST_SHIFT) for measure, name in LIMITS.items()}
    with job_session("drift", rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        reference = read_reference(Storage(spark, arguments.get("reports_uri", "")), version)
        captures = Storage(spark, arguments.get("captures_uri", ""))
        folders = capture_folders(captures, now=datetime.now(UTC), days=days)
        lines: DataFrame = (
            spark.read.option("recursiveFileLookup", "true").text(folders)
            if folders
            else spark.createDataFrame([], "value string")
        )
        recent = recent_profile(lines, version)
        listeners = listeners_of(recent)
        found = shifts(reference, recent) if listeners else {}
        over = breaches(found, limits) if listeners >= least else []
        LOG.info("drift: %d listeners, shifts %s, breaches %s", listeners, found, over)
        storage.write_json(
            f"{DRIFT}{run}/{MANIFEST}",
            {
                "format_version": 1,
                "run": run,
                "bundle_version": version,
                "parameters": {"days": days, "least_listeners": least, "limits": limits},
                "reference_listeners": listeners_of(reference),
                "listeners": listeners,
                "shifts": found,
                "breaches": over,
                "versions": versions(),
            },
        )
        storage.write_json(DRIFT + LATEST, {"run": run})
    if environment := arguments.get("environment", ""):
        send_metrics(found, over, environment=environment)


def read_reference(reports: Storage, version: str) -> Profile:
    """Return the profile of a bundle's answers to its test listeners.

    Raises
    ------
    ResourceError
        The bundle was never evaluated, or before profiles were kept.
    """
    key = f"{version}/evaluation.json"
    evaluation: dict[str, Any] = reports.read_json(key) or {}
    if "answers" not in evaluation:
        raise ResourceError(
            f"{reports.uri(key)}: no profile of bundle {version}'s answers to compare with; "
            "train a bundle and promote it"
        )
    profile: Profile = evaluation["answers"]
    return profile


def send_metrics(found: Mapping[str, float], over: Sequence[str], *, environment: str) -> None:
    """Send each shift, and how many are breaches, which is what the alarm watches."""
    values = {f"drift_{measure}": value for measure, value in found.items()}
    boto3.client("cloudwatch").put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [{"Name": "environment", "Value": environment}],
                "Value": value,
            }
            for name, value in (values | {"drift_breaches": float(len(over))}).items()
        ],
    )


if __name__ == "__main__":
    main(sys.argv)
