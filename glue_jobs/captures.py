"""Captured requests and answers of the endpoint, as SageMaker's data capture writes them.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from listening.answer_profile import MEASURES, Profile, answer_profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame

    from glue_jobs.storage import Storage

SCHEMA = "measure string, value string, listeners bigint"


def capture_folders(captures: Storage, *, now: datetime, days: int) -> list[str]:
    """Return the URIs of the last days' folders, ``<endpoint>/<variant>/<yyyy>/<mm>/<dd>``.

    The folder of tomorrow is one of them: the endpoint's clock may be ahead.
    """
    dates = [f"{now - timedelta(days=back):%Y/%m/%d}" for back in range(-1, days)]
    return [
        captures.uri(folder)
        for endpoint in captures.entries("")
        for variant in captures.entries(endpoint.name)
        for date in dates
        if captures.exists(folder := f"{endpoint.name}/{variant.name}/{date}")
    ]


def captured_answers(line: str, version: str) -> list[dict[str, Any]]:
    """Return the answers of a captured line that name a country and are of a bundle version.

    What is no such answer is left out: other targets' answers, other content types, a line that
    was cut off.
    """
    try:
        output = json.loads(line)["captureData"]["endpointOutput"]
        body = output["data"]
        if output["encoding"] == "BASE64":
            body = base64.b64decode(body).decode()
        documents = json.loads(body)["answers"]
    except (ValueError, KeyError, TypeError):
        return []
    return [
        answer
        for answer in documents
        if answer.get("bundle_version") == version and answer.get("countries")
    ]


def profile_of(answers: list[dict[str, Any]]) -> Profile:
    """Return the profile of some answers of the endpoint."""
    likeliest = [answer["countries"][0] for answer in answers]
    return answer_profile(
        known=np.array([answer["known_artists"] for answer in answers]),
        unknown=np.array([answer["unknown_artists"] for answer in answers]),
        countries=[country["country"] for country in likeliest],
        probabilities=np.array([country["probability"] for country in likeliest]),
    )


def recent_profile(lines: DataFrame, version: str) -> Profile:
    """Return the profile of the answers in captured lines; empty where there are none."""

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            answers = [
                answer
                for line in batch.column("value").to_pylist()
                for answer in captured_answers(line, version)
            ]
            if answers:
                rows = [
                    {"measure": measure, "value": value, "listeners": n}
                    for measure, counts in profile_of(answers).items()
                    for value, n in counts.items()
                ]
                yield pa.RecordBatch.from_pylist(rows)

    profile: Profile = {measure: {} for measure in MEASURES}
    counted = lines.mapInArrow(count, SCHEMA).groupBy("measure", "value").agg(F.sum("listeners"))
    for measure, value, listeners in counted.collect():
        profile[measure][value] = listeners
    return profile
