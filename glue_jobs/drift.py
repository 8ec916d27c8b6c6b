"""The job that compares recent captured answers with those of the champion's test listeners.

Each system has a script that calls `run` with how a profile is made of its answers.

Arguments, beside AWS's own
---------------------------
data_uri
    The data bucket, ``s3://<bucket>/``.
models_uri
    The models bucket: requests are captured and evaluations lie there.
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
max_<measure> = 0.2
    The largest accepted shift of each measure of the system's entry.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from glue_jobs.champion import champion
from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.runs import publish
from glue_jobs.storage import Storage
from listening.drift import listeners_of
from listening.errors import ResourceError
from listening.resources import (
    CAPTURES,
    EVALUATION,
    NAMESPACE,
    REPORTS,
    output,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from pyspark.sql import DataFrame

    from listening.drift import Profile
    from listening.systems import System

    ProfileOf = Callable[[list[dict[str, Any]]], Profile]
    """From answers of the endpoint to their profile; what tells nothing is left out of it."""

JOB = "drift"
ROWS_PER_BATCH = 10_000
MOST_SHIFT = 0.2
SCHEMA = "measure string, value string, listeners bigint"


def names_of_arguments(system: System) -> tuple[str, ...]:
    """Return the names of the arguments that the job of a system takes."""
    return (
        *("data_uri", "models_uri", "champion", "champion_parameter", "environment"),
        *("days", "least_listeners", *(f"max_{measure}" for measure in system.drift)),
    )


def run(
    argv: Sequence[str], system: System, profile_of: ProfileOf, *, names: Collection[str] = ()
) -> None:
    """Read arguments, reference and captures, compare, write the figures and then the metrics.

    Parameters
    ----------
    argv
        The script's arguments.
    system
        Whose answers.
    profile_of
        How their profile is made.
    names
        The measures whose values are names, and no numbers.
    """
    arguments = Arguments(argv, names_of_arguments(system))
    run_id, version = arguments.run_id, champion(arguments)
    days, least = arguments.get("days", 7, least=1), arguments.get("least_listeners", 1000)
    limits = {measure: arguments.get(f"max_{measure}", MOST_SHIFT) for measure in system.drift}
    target = output(system.name, JOB)
    with job_session(JOB, rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        models = Storage(spark, arguments.models_uri)
        reference = read_reference(models, system, version)
        folders = capture_folders(models, now=datetime.now(UTC), days=days)
        lines: DataFrame = (
            spark.read.option("recursiveFileLookup", "true").text(folders)
            if folders
            else spark.createDataFrame([], "value string")
        )
        recent = recent_profile(lines, version, profile_of, measures=system.drift)
        listeners = listeners_of(recent)
        found = shifts(reference, recent, names=names) if listeners else {}
        over = breaches(found, limits) if listeners >= least else []
        LOG.info("drift: %d listeners, shifts %s, breaches %s", listeners, found, over)
        publish(
            storage,
            target,
            run_id,
            {
                "bundle_version": version,
                "parameters": {"days": days, "least_listeners": least, "limits": limits},
                "reference_listeners": listeners_of(reference),
                "listeners": listeners,
                "shifts": found,
                "breaches": over,
                "versions": versions(),
            },
        )
    if environment := arguments.get("environment", ""):
        send_metrics(found, over, environment=environment, system=system.name)


def read_reference(models: Storage, system: System, version: str) -> Profile:
    """Return the profile of a bundle's answers to its test listeners.

    Raises
    ------
    ResourceError
        The bundle was never evaluated.
    """
    key = f"{REPORTS}{system.name}/{version}/{EVALUATION}"
    evaluation: dict[str, Any] = models.read_json(key) or {}
    if "answers" not in evaluation:
        raise ResourceError(
            f"{models.uri(key)}: no profile of bundle {version}'s answers to compare with; "
            "train a bundle and promote it"
        )
    profile: Profile = evaluation["answers"]
    return profile


def capture_folders(models: Storage, *, now: datetime, days: int) -> list[str]:
    """Return the URIs of the last days' folders, ``<endpoint>/<variant>/<yyyy>/<mm>/<dd>``.

    The folder of tomorrow is one of them: the endpoint's clock may be ahead.
    https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
    """
    dates = [f"{now - timedelta(days=back):%Y/%m/%d}" for back in range(-1, days)]
    return [
        models.uri(folder)
        for endpoint in models.entries(CAPTURES)
        for variant in models.entries(f"{CAPTURES}{endpoint.name}")
        for date in dates
        if models.exists(folder := f"{CAPTURES}{endpoint.name}/{variant.name}/{date}")
    ]


def captured_answers(line: str, version: str) -> list[dict[str, Any]]:
    """Return the answers of a captured line that are of a bundle version.

    What is no such answer is left out: another system's, since no two bundles have one version;
    another target's; other content types; a line that was cut off.
    """
    try:
        response = json.loads(line)["captureData"]["endpointOutput"]
        body = response["data"]
        if response["encoding"] == "BASE64":
            body = base64.b64decode(body).decode()
        answers = json.loads(body)["answers"]
        return [answer for answer in answers if answer.get("bundle_version") == version]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def recent_profile(
    lines: DataFrame, version: str, profile_of: ProfileOf, *, measures: Sequence[str]
) -> Profile:
    """Return the profile of the answers in captured lines; empty where there are none."""

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            answers = [
                answer
                for line in batch.column("value").to_pylist()
                for answer in captured_answers(line, version)
            ]
            rows = [
                {"measure": measure, "value": value, "listeners": n}
                for measure, counted in profile_of(answers).items()
                for value, n in counted.items()
            ]
            if rows:
                yield pa.RecordBatch.from_pylist(rows)

    profile: Profile = {measure: {} for measure in measures}
    counted = lines.mapInArrow(count, SCHEMA).groupBy("measure", "value").agg(F.sum("listeners"))
    for measure, value, listeners in counted.collect():
        profile[measure][value] = listeners
    return profile


def shifts(reference: Profile, recent: Profile, *, names: Collection[str] = ()) -> dict[str, float]:
    """Return the distance of each measure's distributions, from 0 (the same) to 1.

    Of numbers the Kolmogorov-Smirnov statistic, of names the Jensen-Shannon distance with
    logarithms to the base 2. A test's p-value would call the smallest shift of many listeners one.

    Parameters
    ----------
    reference, recent
        Profiles of at least one listener each.
    names
        The measures whose values are names, and no numbers.
    """
    return {
        measure: names_apart(reference[measure], recent[measure])
        if measure in names
        else numbers_apart(reference[measure], recent[measure])
        for measure in reference
    }


def numbers_apart(reference: dict[str, int], recent: dict[str, int]) -> float:
    """Return the Kolmogorov-Smirnov statistic of two counts of numbers."""
    first, second = (
        np.repeat(np.array([float(value) for value in counts]), list(counts.values()))
        for counts in (reference, recent)
    )
    return float(ks_2samp(first, second, method="asymp").statistic)


def names_apart(reference: dict[str, int], recent: dict[str, int]) -> float:
    """Return the Jensen-Shannon distance of two counts of names."""
    names = sorted(set(reference) | set(recent))
    first, second = ([counts.get(name, 0) for name in names] for counts in (reference, recent))
    return float(jensenshannon(first, second, base=2))


def breaches(found: Mapping[str, float], most: Mapping[str, float]) -> list[str]:
    """Return the measures whose shift is above the most that is accepted."""
    return [measure for measure, value in found.items() if value > most[measure]]


def send_metrics(
    found: Mapping[str, float], over: Sequence[str], *, environment: str, system: str
) -> None:
    """Send each shift, and how many are breaches, which is what the alarm watches."""
    values = {f"drift_{measure}": value for measure, value in found.items()}
    boto3.client("cloudwatch").put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [
                    {"Name": "environment", "Value": environment},
                    {"Name": "system", "Value": system},
                ],
                "Value": value,
            }
            for name, value in (values | {"drift_breaches": float(len(over))}).items()
        ],
    )
