from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from listening.errors import ResourceError
from listening.resources import ResourceNames
from ops import runs
from ops.connection import Connection

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
ARN = "arn:aws:states:eu-central-1:1:execution:listening-dev-country-training:one"
KEY = runs.training_key(ARN)


class Service:
    """Stands for a boto3 client: methods that return what they were given."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            answer = self.answers[name]
            return answer(**arguments) if callable(answer) else answer

        return call

    def get_paginator(self, operation: str) -> Any:
        """Return what gives the answer's pages."""
        return SimpleNamespace(paginate=getattr(self, operation))


def connection(**services: Service) -> Connection:
    made = Connection(boto3.Session(region_name="eu-central-1"), "dev")
    made.__dict__.update(services, names=ResourceNames("dev", "1", "eu-central-1"))
    return made


def job_run(state: str, **more: Any) -> dict[str, Any]:
    return {"Id": "jr_1", "StartedOn": START, "JobRunState": state} | more


def workflow(status: str, *, embeddings: Any = (), features: Any = ()) -> Service:
    nodes = [
        {
            "Type": "JOB",
            "Name": f"listening-dev-country-{name}",
            "JobDetails": {"JobRuns": list(job_runs)},
        }
        for name, job_runs in (("embeddings", embeddings), ("features", features))
    ]
    run = {"Status": status, "StartedOn": START, "Graph": {"Nodes": nodes}}
    return Service(get_workflow_run={"Run": run})


def feature_run(glue: Service) -> runs.Run:
    return runs.feature_run(connection(glue=glue), "wr_1", system="country")


def test_a_job_waits_until_its_turn() -> None:
    run = feature_run(workflow("RUNNING", embeddings=[job_run("RUNNING")]))
    assert [(s.name, s.state) for s in run.steps] == [
        ("embeddings", runs.RUNNING),
        ("features", runs.WAITING),
    ]
    assert not run.is_over


def test_the_last_attempt_counts() -> None:
    attempts = [
        job_run("FAILED", ErrorMessage="lost"),
        job_run("SUCCEEDED", StartedOn=START + timedelta(minutes=1), Id="jr_2"),
    ]
    run = feature_run(workflow("RUNNING", embeddings=attempts))
    assert run.step("embeddings").id == "jr_2"
    assert run.step("embeddings").state == runs.SUCCEEDED


def test_a_completed_workflow_with_a_failed_job_has_failed() -> None:
    failed = job_run(
        "FAILED", CompletedOn=START + timedelta(seconds=5), ErrorMessage="users: no column country"
    )
    run = feature_run(workflow("COMPLETED", embeddings=[failed]))
    assert run.state == runs.FAILED
    assert run.reason == "embeddings: users: no column country"
    assert run.step("embeddings").seconds == 5


def test_a_step_that_is_not_there_is_named() -> None:
    run = feature_run(workflow("RUNNING"))
    with pytest.raises(ResourceError, match="features run wr_1 has no step 'cooking'"):
        run.step("cooking")


def training_run(status: str, jobs: dict[str, dict[str, Any]], **more: Any) -> runs.Run:
    described = {"status": status, "startDate": START, "input": "{}"} | more
    pages = [{"TrainingJobSummaries": [{"TrainingJobName": name}]} for name in jobs]
    deployed = connection(
        stepfunctions=Service(describe_execution=described),
        sagemaker=Service(
            list_training_jobs=pages,
            describe_training_job=lambda TrainingJobName: (
                {"CreationTime": START, "TrainingJobName": TrainingJobName} | jobs[TrainingJobName]
            ),
        ),
    )
    return runs.training_run(deployed, ARN, system="country")


def task(name: str, status: str, **more: Any) -> dict[str, Any]:
    hyperparameters = {"task": f"country.{name}"}
    return {"HyperParameters": hyperparameters, "TrainingJobStatus": status} | more


def test_training_jobs_are_shown_in_order_with_their_metrics() -> None:
    metrics = {"FinalMetricDataList": [{"MetricName": "validation:log_loss", "Value": 2.25}]}
    jobs = {
        f"assemble-{KEY}-0": task("assemble", "InProgress"),
        f"nordics-{KEY}-0": task("country", "Completed", **metrics),
        f"flat-{KEY}-0": task("flat", "Completed"),
        f"dach-{KEY}-0": task("country", "Completed"),
        f"region-{KEY}-0": task("region", "Completed"),
    }
    run = training_run("RUNNING", jobs)
    assert [step.name for step in run.steps] == ["region", "dach", "nordics", "flat", "assemble"]
    assert run.step("nordics").detail == "validation:log_loss 2.25"
    assert run.state == runs.RUNNING


def test_a_failed_training_tells_which_job_and_why() -> None:
    failed = task("country", "Failed", FailureReason="AlgorithmError: no listeners")
    run = training_run("FAILED", {f"nordics-{KEY}-0": failed}, cause="States.TaskFailed")
    assert run.reason == "nordics: AlgorithmError: no listeners"


def test_a_failed_execution_without_jobs_gives_its_cause() -> None:
    run = training_run("FAILED", {}, cause="no manifest")
    assert (run.state, run.reason) == (runs.FAILED, "no manifest")


def test_a_retried_task_shows_its_last_attempt() -> None:
    jobs = {
        f"region-{KEY}-0": task("region", "Failed", FailureReason="CapacityError"),
        f"region-{KEY}-1": task("region", "Completed"),
    }
    run = training_run("SUCCEEDED", jobs, output='{"bundle_version": "abc"}')
    assert run.step("region").state == runs.SUCCEEDED
    assert run.output == {"bundle_version": "abc"}
    assert run.reason == ""


def test_the_execution_of_a_features_run_is_found() -> None:
    executions = [
        {"executionArn": f"{ARN}-{i}", "startDate": START + timedelta(minutes=i)} for i in range(3)
    ]
    service = Service(
        list_executions={"executions": executions},
        describe_execution=lambda executionArn: {
            "input": json.dumps({"features_run": f"jr_{executionArn[-1]}"})
        },
    )
    deployed = connection(stepfunctions=service)
    assert runs.training_run_of(deployed, "jr_1", system="country") == f"{ARN}-1"
    assert runs.training_run_of(deployed, "jr_9", system="country") is None


def test_a_job_that_a_system_does_not_have_is_named() -> None:
    with pytest.raises(ResourceError, match="system country has no job 'cooking'; it has embedd"):
        runs.start_job(connection(), "cooking", system="country")


def test_following_ends_when_the_run_is_over() -> None:
    states = iter(
        [
            runs.Run(kind="features", id="x", state=state, started=START, seconds=0, steps=())
            for state in (runs.RUNNING, runs.RUNNING, runs.SUCCEEDED, runs.RUNNING)
        ]
    )
    seen = list(runs.follow(lambda: next(states), seconds=60, poll_seconds=0))
    assert [run.state for run in seen] == [runs.RUNNING, runs.RUNNING, runs.SUCCEEDED]


def test_following_has_a_deadline() -> None:
    run = runs.Run(kind="features", id="x", state=runs.RUNNING, started=START, seconds=0, steps=())
    with pytest.raises(ResourceError, match="features run x is not over after 0 minutes"):
        list(runs.follow(lambda: run, seconds=0, poll_seconds=0))


def test_waiting_has_a_deadline() -> None:
    with pytest.raises(ResourceError, match="a run did not appear within 0 s"):
        runs.wait_for(lambda: None, what="a run", seconds=0, poll_seconds=0)
    assert runs.wait_for(lambda: "found", what="a run", seconds=0) == "found"
