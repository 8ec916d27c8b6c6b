"""What ``--json`` prints: one document on stdout, whatever the command did before."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
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


NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--profile", "work", "--env", "dev"])


def call_json(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "users.csv").write_text("user_id,country\na,Iceland\n")
    (tmp_path / "top_artists.csv").write_text("user_id,rank,artist_name\na,1,Air\n")
    return tmp_path


def test_data_is_checked(folder: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(folder), "--json"])
    facts = json.loads(result.stdout)
    assert (facts["listeners"], facts["usable_by"], facts["synthetic"]) == (1, ["country"], False)
    assert facts["tables"]["top_artists"] == {"rows": 1, "dropped": {}, "listeners": 1}


def test_features_are_built(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    class Glue:
        """Stands for Glue, as a workflow of moto has neither jobs nor an end."""

        def start_workflow_run(self, **request: Any) -> Any:
            assert request == {"Name": "listening-dev-country-workflow"}
            return {"RunId": "wr_1"}

        def get_workflow_run(self, **_: Any) -> Any:
            job_run = {"Id": "jr_2", "StartedOn": NOON, "JobRunState": "SUCCEEDED"}
            job_run["CompletedOn"] = NOON + timedelta(seconds=30)
            nodes = [
                {
                    "Type": "JOB",
                    "Name": f"listening-dev-country-{name}",
                    "JobDetails": {"JobRuns": [job_run]},
                }
                for name in ("embeddings", "features")
            ]
            run = {"Status": "COMPLETED", "StartedOn": NOON, "Graph": {"Nodes": nodes}}
            return {"Run": run | {"CompletedOn": NOON + timedelta(seconds=61)}}

    monkeypatch.setattr(Connection, "glue", Glue())
    run = call_json("features", "run")
    assert (run["state"], run["started"]) == ("SUCCEEDED", "2026-11-01T12:00:00+00:00")
    assert run["steps"][1] == {
        "name": "features",
        "state": "SUCCEEDED",
        "id": "jr_2",
        "seconds": 30.0,
        "detail": "",
    }
    assert "Features run jr_2, in 1:01; training starts now." in call("features", "run").stdout


def test_a_bundle_is_trained(aws: Aws) -> None:
    aws.put(aws.connection.names.data_bucket, "country/features/jr_2/manifest.json", {})
    aws.put(aws.connection.names.data_bucket, "country/features/latest.json", {"run": "jr_2"})
    run = call_json("train", "run")
    assert (run["state"], run["output"]["decision"]) == ("SUCCEEDED", "Rejected")
    execution = aws.connection.stepfunctions.describe_execution(executionArn=run["id"])
    assert json.loads(execution["input"]) == {"features_run": "jr_2"}
    said = call("train", "run", "--features", "jr_2").stdout
    assert "Bundle abc: Rejected, in 0:0" in said
    assert said.endswith("\n  log loss is worse\n")


def test_training_needs_features(aws: Aws) -> None:
    none = call("train", "run")
    assert none.exit_code == 1
    assert "there are no features of country yet: `listening features run" in none.stderr
    other = call("train", "run", "--features", "jr_9")
    assert other.exit_code == 1
    assert "features run jr_9 has no s3://" in other.stderr


@pytest.mark.parametrize("every", [False, True])
def test_listeners_are_scored(
    aws: Aws, folder: Path, monkeypatch: pytest.MonkeyPatch, *, every: bool
) -> None:
    start = runs.start_job
    arguments: dict[str, str] = {}

    def started(connection: Connection, job: str, **options: Any) -> str:
        run = start(connection, job, **options)
        arguments.update(options["arguments"])
        key = f"country/scoring/{run}/part-0.parquet"
        table = {"user_id": ["a"], "top_1": ["IS"]}
        aws.put_table(aws.connection.names.data_bucket, key, table)
        return run

    monkeypatch.setattr(runs, "start_job", started)
    out = folder / "new" / "scores.parquet"
    options = ["--all"] if every else []
    found = call_json("score", "--data", str(folder), "--out", str(out), *options)
    assert (found["listeners"], found["out"]) == (1, str(out))
    assert pq.read_table(out).to_pylist() == [{"user_id": "a", "top_1": "IS"}]
    batch = arguments.pop("--batch")
    listed = aws.connection.s3.list_objects_v2(
        Bucket=aws.connection.names.data_bucket, Prefix=f"raw/{batch}/"
    )
    assert len(listed["Contents"]) == 2
    assert arguments == ({"--every_country": "true"} if every else {})


def test_the_status_is_that_of_every_system(aws: Aws) -> None:
    run_id = runs.start_features(aws.connection, "country")
    arn = runs.start_training(aws.connection, "jr_2", system="country")
    assert list(runs.follow(
        lambda: runs.training_run(aws.connection, arn, system="country"), seconds=20
    ))  # fmt: skip
    status = call_json("status")
    [(system, shown)] = status["systems"].items()
    assert (status["environment"], system, shown["champion"]) == ("dev", "country", "prior")
    assert [(run["id"], run["state"]) for run in shown["runs"]] == [
        (run_id, "RUNNING"),
        (arn, "SUCCEEDED"),
    ]
    said = call("status").stdout
    assert "country: champion prior, last runs" in said
    assert "2 waiting" in said


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
