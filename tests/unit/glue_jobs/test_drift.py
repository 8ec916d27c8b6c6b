"""The drift job on Spark, over captures as SageMaker writes them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from listening.answer_profile import answer_profile, listeners_of

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


def profile(found: list[dict[str, Any]]) -> Any:
    return answer_profile(
        known=np.array([a["known_artists"] for a in found]),
        unknown=np.array([a["unknown_artists"] for a in found]),
        countries=[a["countries"][0]["country"] for a in found],
        probabilities=np.array([a["countries"][0]["probability"] for a in found]),
    )


class Job:
    """The drift job over a folder."""

    def __init__(self, folder: Path, run_glue: RunGlue) -> None:
        self._folder, self._run = folder, run_glue
        self._captures = folder / "captures/listening-dev-endpoint/bundles"

    def reference(self, found: list[dict[str, Any]]) -> None:
        path = self._folder / "reports/abc/evaluation.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"answers": profile(found)}))

    def capture(self, when: datetime, *lines: str) -> None:
        path = self._captures / f"{when:%Y/%m/%d/%H}" / f"{len(lines)}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")

    def found(self, *more: str) -> dict[str, Any]:
        ended = self.run(*more)
        assert ended.returncode == 0, ended.stderr[-3000:]
        path = self._folder / "data/drift/jr_d/manifest.json"
        document: dict[str, Any] = json.loads(path.read_text())
        return document

    def run(self, *more: str) -> Any:
        uri = self._folder.as_uri()
        return self._run(
            *("glue_jobs/drift.py", "--JOB_RUN_ID", "jr_d", "--champion", "abc"),
            *("--data_uri", f"{uri}/data/", "--captures_uri", f"{uri}/captures/"),
            *("--reports_uri", f"{uri}/reports/", "--least_listeners", "200", *more),
        )


@pytest.fixture
def job(tmp_path: Path, run_glue: RunGlue) -> Job:
    (tmp_path / "captures").mkdir()
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


def test_a_profile_counts_listeners() -> None:
    found = answer_profile(
        known=np.array([3, 0, 3]),
        unknown=np.array([1, 0, 1]),
        countries=["IS", "DE", "IS"],
        probabilities=np.array([0.123, 0.5, 0.12]),
    )
    assert found == {
        "artist_coverage": {"0": 1, "0.75": 2},
        "list_length": {"0": 1, "4": 2},
        "confidence": {"0.12": 2, "0.5": 1},
        "country": {"DE": 1, "IS": 2},
    }
    assert listeners_of(found) == 3
