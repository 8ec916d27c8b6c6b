"""The drift job on Spark, over captures as SageMaker writes them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pytest
from moto import mock_aws

from glue_jobs.country.drift import profile_of
from glue_jobs.drift import captured_answers, send_metrics, shifts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.unit.glue_jobs.conftest import RunGlue

LISTENERS = 300


def answers(countries: Sequence[str], *, known: int, version: str = "abc") -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return [
        {
            "bundle_version": version,
            "known_artists": known,
            "unknown_artists": int(unknown),
            "countries": [{"country": country, "probability": float(p)}],
        }
        for country, unknown, p in zip(
            rng.choice(countries, LISTENERS),
            rng.integers(0, 5, LISTENERS),
            rng.uniform(0.2, 0.9, LISTENERS),
            strict=True,
        )
    ]


def captured(document: Any, *, encoding: str = "JSON") -> str:
    data = json.dumps(document)
    if encoding == "BASE64":
        data = base64.b64encode(data.encode()).decode()
    output = {"observedContentType": "application/json", "data": data, "encoding": encoding}
    return json.dumps({"captureData": {"endpointOutput": output}, "eventVersion": "0"})


class Job:
    """The drift job over a folder."""

    def __init__(self, folder: Path, run_glue: RunGlue) -> None:
        self._folder, self._run = folder, run_glue
        self._captures = folder / "models/captures/listening-dev-endpoint/bundles"

    def reference(self, found: list[dict[str, Any]]) -> None:
        path = self._folder / "models/reports/country/abc/evaluation.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"answers": profile_of(found)}))

    def capture(self, when: datetime, *lines: str) -> None:
        path = self._captures / f"{when:%Y/%m/%d/%H}" / f"{len(lines)}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")

    def found(self, *more: str) -> dict[str, Any]:
        ended = self.run(*more)
        assert ended.returncode == 0, ended.stderr[-3000:]
        path = self._folder / "data/country/drift/jr_d/manifest.json"
        document: dict[str, Any] = json.loads(path.read_text())
        return document

    def run(self, *more: str) -> Any:
        uri = self._folder.as_uri()
        return self._run(
            *("glue_jobs/country/drift.py", "--JOB_RUN_ID", "jr_d", "--champion", "abc"),
            *("--data_uri", f"{uri}/data/", "--models_uri", f"{uri}/models/"),
            *("--least_listeners", "200", *more),
        )


@pytest.fixture
def job(tmp_path: Path, run_glue: RunGlue) -> Job:
    (tmp_path / "models/captures").mkdir(parents=True)
    return Job(tmp_path, run_glue)


@pytest.mark.spark
def test_only_what_has_changed_is_a_breach(job: Job) -> None:
    job.reference(answers(["IS", "DE"], known=9))
    recent = answers(["IS", "DE", "BR", "BR", "BR"], known=3)
    now = datetime.now(UTC)
    job.capture(
        now,
        captured({"answers": recent[:200]}),
        captured({"answers": recent[200:]}, encoding="BASE64"),
        captured({"answers": answers(["JP"], known=1, version="another")}),
        captured({"regions": []}),
        '{"captureData": {"endpointOut',
    )
    job.capture(datetime(2020, 1, 1, tzinfo=UTC), captured({"answers": answers(["JP"], known=1)}))
    found = job.found()
    assert found["listeners"] == LISTENERS
    assert found["reference_listeners"] == LISTENERS
    assert set(found["breaches"]) == {"artist_coverage", "list_length", "country"}
    assert found["shifts"]["confidence"] < 0.1
    assert found["shifts"]["list_length"] == 1.0
    assert job.found("--max_country", "1", "--max_list_length", "1")["breaches"] == [
        "artist_coverage"
    ]
    assert job.found("--least_listeners", "301")["breaches"] == []


@pytest.mark.spark
def test_without_captures_or_reference(job: Job) -> None:
    refused = job.run()
    assert refused.returncode == 1
    assert "no profile of bundle abc's answers" in refused.stderr.strip().splitlines()[-1]
    job.reference(answers(["IS"], known=2))
    found = job.found()
    assert (found["listeners"], found["shifts"], found["breaches"]) == (0, {}, [])


def test_only_answers_of_the_version_are_read_and_only_those_that_tell_all_are_counted() -> None:
    told = answers(["IS"], known=2)
    of_vectors = [{"bundle_version": "abc", "countries": [{"country": "DE", "probability": 0.5}]}]
    by_region = [{"bundle_version": "abc", "known_artists": 1, "regions": []}]
    line = captured({"answers": [*told, *of_vectors, *by_region]})
    assert captured_answers(line, "abc") == [*told, *of_vectors, *by_region]
    assert captured_answers(line, "another") == []
    assert profile_of(captured_answers(line, "abc")) == profile_of(told)
    assert profile_of([])["country"] == {}


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "{}", captured([]), captured({"answers": 5}), captured({"answers": [5]})],
)
def test_a_line_without_answers_has_none(line: str) -> None:
    assert captured_answers(line, "abc") == []


def test_names_that_look_like_numbers_are_no_numbers() -> None:
    one, other = {"cluster": {"1": 1, "10": 1}}, {"cluster": {"2": 1, "3": 1}}
    assert shifts(one, other)["cluster"] == 0.5
    assert shifts(one, other, names=("cluster",))["cluster"] == 1.0
    long = {"seconds": {"1e+06": 3, "2.5": 1}}
    assert shifts(long, long)["seconds"] == 0.0


def test_metrics_are_those_of_a_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        send_metrics({"country": 0.3}, ["country"], environment="dev", system="country")
        sent = boto3.client("cloudwatch").list_metrics(Namespace="Listening")["Metrics"]
    of = [{"Name": "environment", "Value": "dev"}, {"Name": "system", "Value": "country"}]
    assert {metric["MetricName"] for metric in sent} == {"drift_country", "drift_breaches"}
    assert all(metric["Dimensions"] == of for metric in sent)
