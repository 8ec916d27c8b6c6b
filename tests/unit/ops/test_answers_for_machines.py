"""What ``--json`` prints: one document on stdout, whatever the command did before."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ops import runs
from ops.cli.app import app
from ops.connection import Connection

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Aws


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--profile", "work", "--env", "dev"])


def call_json(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def done(kind: str, *steps: runs.Step, **output: Any) -> runs.Run:
    return runs.Run(
        kind=kind,
        id=f"{kind}-1",
        state=runs.SUCCEEDED,
        started=datetime(2026, 11, 1, 12, tzinfo=UTC),
        seconds=61.0,
        steps=steps,
        output=output,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "users.csv").write_text("user_id,country\na,Iceland\n")
    (tmp_path / "top_artists.csv").write_text("user_id,rank,artist_name\na,1,Air\n")
    return tmp_path


def test_data_is_checked(folder: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(folder), "--json"])
    facts = json.loads(result.stdout)
    assert (facts["listeners"], facts["plays"], facts["synthetic"]) == (1, 1, False)


def test_features_are_built(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = runs.Step(name="splits", state=runs.SUCCEEDED, id="jr_2", seconds=30.0)
    monkeypatch.setattr(runs, "start_features", lambda _: "wr_1")
    monkeypatch.setattr(runs, "feature_run", lambda *_: done("features", splits))
    run = call_json("features", "run")
    assert (run["state"], run["started"]) == ("SUCCEEDED", "2026-11-01T12:00:00+00:00")
    assert run["steps"] == [
        {"name": "splits", "state": "SUCCEEDED", "id": "jr_2", "seconds": 30.0, "detail": ""}
    ]
    assert "Features run jr_2, in 1:01; training starts now." in call("features", "run").stdout


def test_a_bundle_is_trained(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.put(aws.connection.names.data_bucket, "features/jr_2/manifest.json", {})
    aws.put(aws.connection.names.data_bucket, "features/latest.json", {"run": "jr_2"})
    started: list[str] = []
    output = {"bundle_version": "abc", "decision": "Rejected", "reasons": ["log loss is worse"]}
    monkeypatch.setattr(runs, "start_training", lambda _, on: started.append(on) or "arn")
    monkeypatch.setattr(runs, "training_run", lambda *_: done("training", **output))
    assert call_json("train", "run")["output"] == output
    said = call("train", "run", "--features", "jr_2").stdout
    assert "Bundle abc: Rejected, in 1:01.\n  log loss is worse" in said
    assert started == ["jr_2", "jr_2"]


def test_training_needs_features(aws: Aws) -> None:
    none = call("train", "run")
    assert none.exit_code == 1
    assert "there are no features yet: `listening features run`" in none.stderr
    other = call("train", "run", "--features", "jr_9")
    assert other.exit_code == 1
    assert "features run jr_9 has no s3://" in other.stderr


def test_listeners_are_scored(aws: Aws, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = aws.connection.names.data_bucket
    aws.put_table(bucket, "scores/jr_3/part-0.parquet", {"user_id": ["a"], "top_1": ["IS"]})
    monkeypatch.setattr(runs, "start_scoring", lambda *_, **__: "jr_3")
    monkeypatch.setattr(runs, "scoring_run", lambda *_: done("scoring"))
    out = folder / "new" / "scores.parquet"
    found = call_json("score", "--data", str(folder), "--out", str(out))
    assert found == {"listeners": 1, "out": str(out), "run": "jr_3"}
    assert pq.read_table(out).to_pylist() == [{"user_id": "a", "top_1": "IS"}]


def test_a_report_is_fetched(aws: Aws, tmp_path: Path) -> None:
    aws.register("a")
    out = tmp_path / "report.html"
    found = call_json("report", "--version", "a", "--out", str(out))
    assert found["report"] == str(out)
    assert found["evaluation"]["metrics"]["accuracy"] == 0.5


def test_logs_are_lines(aws: Aws) -> None:
    logs = aws.connection.client("logs")
    group, stream = "/aws/sagemaker/Endpoints/listening-dev-endpoint", "one"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[{"timestamp": now + n, "message": f"line {n}"} for n in range(3)],
    )
    lines = call_json("logs", "endpoint", "--lines", "2")
    assert [line.partition("  ")[2] for line in lines] == ["line 1", "line 2"]


def test_cost_is_summed_by_service(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    class CostExplorer:
        def get_cost_and_usage(self, **request: Any) -> Any:
            assert request["Filter"]["Tags"]["Values"] == ["listening-dev"]
            day = {"Keys": ["SageMaker"], "Metrics": {"UnblendedCost": {"Amount": "1.5"}}}
            return {"ResultsByTime": [{"Groups": [day]}, {"Groups": [day]}]}

    monkeypatch.setattr(Connection, "cost_explorer", CostExplorer())
    assert call_json("cost", "--days", "2") == {"days": 2, "usd": {"SageMaker": 3.0}}
    assert "Total" in call("cost").stdout
