from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.process

# Without Spark: the folder that stands for the bucket is read from Spark's settings.
SCRIPT = """
import json, os, pathlib, re, sys, time
conf = pathlib.Path(os.environ["SPARK_CONF_DIR"], "spark-defaults.conf").read_text()
root = pathlib.Path(re.search(r"mounttable[.]plays[.]linkFallback file://(.*)", conf)[1])
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
(root / "out").mkdir(exist_ok=True)
out = root / "out" / (arguments["--JOB_RUN_ID"] + ".json")
out.write_text(json.dumps({
    "arguments": arguments,
    "environment": dict(os.environ),
    "seen": sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()),
}))
print("to the log")
time.sleep(float(arguments.get("--seconds", "0")))
if arguments.get("--fail"):
    print("Traceback (most recent call last):", file=sys.stderr)
    print("DataError: " + arguments["--fail"], file=sys.stderr)
    print("26/11/22 06:00:00 WARN ShutdownHook: noise of the JVM", file=sys.stderr)
    sys.exit(1)
"""


class Jobs:
    def __init__(self, emulator: Any) -> None:
        self.emulator = emulator
        self.glue = emulator.client("glue")
        self.s3 = emulator.bucket()
        self.put("scripts/job.py", textwrap.dedent(SCRIPT))
        self.put("raw/plays.csv", "a,b")
        self.put("elsewhere/hidden.csv", "c")

    def put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket="plays", Key=key, Body=text.encode())

    def job(self, name: str, **more: Any) -> None:
        arguments = {"--data_uri": "s3://plays/raw/", **more.pop("DefaultArguments", {})}
        self.glue.create_job(
            Name=name,
            Role=self.emulator.role,
            Command={"Name": "glueetl", "ScriptLocation": "s3://plays/scripts/job.py"},
            GlueVersion="5.1",
            DefaultArguments=arguments,
            **more,
        )

    def start(self, name: str, **more: Any) -> str:
        return str(self.glue.start_job_run(JobName=name, **more)["JobRunId"])

    def run(self, name: str, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self.glue.get_job_run(JobName=name, RunId=run_id)["JobRun"]
        return run

    def ended(self, name: str, run_id: str) -> dict[str, Any]:
        ends = ("SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED")
        self.emulator.wait(lambda: self.run(name, run_id)["JobRunState"] in ends)
        return self.run(name, run_id)

    def written(self, run_id: str) -> dict[str, Any]:
        body = self.s3.get_object(Bucket="plays", Key=f"out/{run_id}.json")["Body"].read()
        written: dict[str, Any] = json.loads(body)
        return written

    def runs(self, name: str) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self.glue.get_job_runs(JobName=name)["JobRuns"]
        return runs

    def trigger(self, name: str, kind: str, job: str, **more: Any) -> None:
        self.glue.create_trigger(Name=name, Type=kind, Actions=[{"JobName": job}], **more)

    def after(self, job: str, state: str = "SUCCEEDED") -> dict[str, Any]:
        condition = {"LogicalOperator": "EQUALS", "JobName": job, "State": state}
        return {
            "Predicate": {"Logical": "AND", "Conditions": [condition]},
            "StartOnCreation": True,
        }


@pytest.fixture
def jobs(emulator: Any) -> Jobs:
    return Jobs(emulator)


def test_a_run_runs_the_script_with_what_is_declared_and_nothing_else(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SHELL", "x")
    jobs.put("modules/package.zip", "not opened")
    declared = {"--extra-py-files": "s3://plays/modules/package.zip", "--conf": "spark.a=1"}
    jobs.job("embeddings", DefaultArguments={**declared, "--seed": "1"})
    run_id = jobs.start("embeddings", Arguments={"--seed": "2"})
    run = jobs.ended("embeddings", run_id)
    assert run["JobRunState"] == "SUCCEEDED"
    assert run["CompletedOn"] >= run["StartedOn"]
    written = jobs.written(run_id)
    assert written["arguments"]["--seed"] == "2"
    assert written["arguments"]["--JOB_NAME"] == "embeddings"
    assert written["arguments"]["--JOB_ID"].startswith("j_")
    assert "--extra-py-files" not in written["arguments"]
    assert written["environment"]["PYTHONPATH"].endswith("package.zip")
    assert "SECRET_OF_THE_SHELL" not in written["environment"]
    assert written["environment"]["AWS_ENDPOINT_URL"] == jobs.emulator.url
    temporary = Path(written["environment"]["TMPDIR"])
    assert temporary.is_relative_to(written["environment"]["HOME"])
    assert not temporary.exists()  # it went with the run
    assert "raw/plays.csv" in written["seen"]
    assert "elsewhere/hidden.csv" not in written["seen"]


def test_a_failed_run_shows_the_last_line_and_keeps_what_it_wrote(jobs: Jobs) -> None:
    jobs.job("splits")
    run_id = jobs.start("splits", Arguments={"--fail": "raw/x/users has no column 'user_id'"})
    run = jobs.ended("splits", run_id)
    assert run["JobRunState"] == "FAILED"
    assert run["ErrorMessage"] == "DataError: raw/x/users has no column 'user_id'"
    assert jobs.written(run_id)["arguments"]["--fail"]


def test_both_logs_can_be_read_as_on_aws(jobs: Jobs) -> None:
    jobs.job("splits")
    run_id = jobs.start("splits", Arguments={"--fail": "why"})
    jobs.ended("splits", run_id)
    logs = jobs.emulator.client("logs")

    def lines(group: str) -> list[str]:
        events = logs.get_log_events(logGroupName=group, logStreamName=run_id)["events"]
        return [event["message"] for event in events]

    jobs.emulator.wait(
        lambda: logs.describe_log_groups(logGroupNamePrefix="/aws-glue/jobs/error")["logGroups"]
    )
    assert "to the log" in lines("/aws-glue/jobs/output")
    assert "DataError: why" in lines("/aws-glue/jobs/error")


def test_the_log_can_be_followed_while_the_run_runs(jobs: Jobs) -> None:
    jobs.job("slow")
    run_id = jobs.start("slow", Arguments={"--seconds": "60"})
    logs = jobs.emulator.client("logs")
    group = "/aws-glue/jobs/output"
    jobs.emulator.wait(lambda: logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"])
    events = logs.get_log_events(logGroupName=group, logStreamName=run_id)["events"]
    assert [event["message"] for event in events] == ["to the log"]
    assert jobs.run("slow", run_id)["JobRunState"] == "RUNNING"


def test_no_more_runs_at_once_than_the_job_allows(jobs: Jobs) -> None:
    jobs.job("slow", ExecutionProperty={"MaxConcurrentRuns": 1})
    run_id = jobs.start("slow", Arguments={"--seconds": "30"})
    with pytest.raises(ClientError) as error:
        jobs.start("slow")
    assert error.value.response["Error"]["Code"] == "ConcurrentRunsExceededException"
    jobs.glue.batch_stop_job_run(JobName="slow", JobRunIds=[run_id])
    assert jobs.ended("slow", run_id)["JobRunState"] == "STOPPED"


def test_stopping_an_unknown_run_is_an_error_of_that_run(jobs: Jobs) -> None:
    jobs.job("slow")
    answer = jobs.glue.batch_stop_job_run(JobName="slow", JobRunIds=["jr_absent"])
    assert answer["Errors"][0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"


def test_a_run_over_its_time_is_timed_out(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = jobs.emulator.runtime.processes.wait
    monkeypatch.setattr(
        jobs.emulator.runtime.processes,
        "wait",
        lambda process, timeout, meanwhile: wait(
            process, timeout=timeout / 60, meanwhile=meanwhile
        ),
    )
    jobs.job("slow", Timeout=1)
    run_id = jobs.start("slow", Arguments={"--seconds": "30"})
    run = jobs.ended("slow", run_id)
    assert (run["JobRunState"], run["Timeout"]) == ("TIMEOUT", 1)
    assert "timed out after 1 minutes" in run["ErrorMessage"]


def test_a_failed_run_is_retried_as_often_as_the_job_says(jobs: Jobs) -> None:
    jobs.job("flaky", MaxRetries=1)
    run_id = jobs.start("flaky", Arguments={"--fail": "again"})
    again = f"{run_id}_attempt_1"
    jobs.emulator.wait(lambda: again in {run["Id"] for run in jobs.runs("flaky")})
    assert jobs.ended("flaky", again)["Attempt"] == 1
    assert len(jobs.runs("flaky")) == 2


def test_a_missing_script_fails_the_run_with_its_name(jobs: Jobs) -> None:
    jobs.job("embeddings")
    jobs.s3.delete_object(Bucket="plays", Key="scripts/job.py")
    run = jobs.ended("embeddings", jobs.start("embeddings"))
    assert "NoSuchKey" in run["ErrorMessage"]
    assert "s3://plays/scripts/job.py" in run["ErrorMessage"]


def test_job_names_follow_glue_rules(jobs: Jobs) -> None:
    with pytest.raises(ClientError) as error:
        jobs.job("a" * 256)
    assert error.value.response["Error"]["Code"] == "InvalidInputException"


def test_update_job_replaces_the_definition(jobs: Jobs) -> None:
    jobs.job("embeddings", Timeout=10)
    command = {"Name": "glueetl", "ScriptLocation": "s3://plays/scripts/job.py"}
    update = {"Role": "new", "Command": command, "DefaultArguments": {"--seed": "9"}}
    jobs.glue.update_job(JobName="embeddings", JobUpdate=update)
    job = jobs.glue.get_job(JobName="embeddings")["Job"]
    assert job["DefaultArguments"] == {"--seed": "9"}
    assert job["Role"] == "new"
    assert "Timeout" not in job


def test_triggers_fire_in_turn_on_demand_then_on_success(jobs: Jobs) -> None:
    jobs.job("embeddings")
    jobs.job("splits")
    jobs.trigger("start", "ON_DEMAND", "embeddings")
    jobs.trigger("next", "CONDITIONAL", "splits", **jobs.after("embeddings"))
    jobs.glue.start_trigger(Name="start")
    jobs.emulator.wait(lambda: jobs.runs("splits"))
    run = jobs.ended("splits", jobs.runs("splits")[0]["Id"])
    assert run["TriggerName"] == "next"
    assert run["PredecessorRuns"][0]["JobName"] == "embeddings"


def test_a_run_that_no_trigger_started_sets_off_no_trigger(jobs: Jobs) -> None:
    jobs.job("embeddings")
    jobs.job("splits")
    jobs.trigger("next", "CONDITIONAL", "splits", **jobs.after("embeddings"))
    jobs.ended("embeddings", jobs.start("embeddings"))
    jobs.ended("embeddings", jobs.start("embeddings"))
    assert jobs.runs("splits") == []


@pytest.fixture
def workflow(jobs: Jobs) -> Jobs:
    jobs.glue.create_workflow(Name="features", MaxConcurrentRuns=1)
    jobs.job("embeddings")
    jobs.job("splits")
    jobs.trigger("start", "EVENT", "embeddings", WorkflowName="features")
    jobs.trigger(
        "next", "CONDITIONAL", "splits", WorkflowName="features", **jobs.after("embeddings")
    )
    return jobs


def finished(jobs: Jobs, run_id: str) -> dict[str, Any]:
    def run() -> dict[str, Any]:
        answer = jobs.glue.get_workflow_run(Name="features", RunId=run_id, IncludeGraph=True)
        found: dict[str, Any] = answer["Run"]
        return found

    jobs.emulator.wait(lambda: run()["Status"] != "RUNNING")
    return run()


def test_a_workflow_runs_its_jobs_in_turn_and_tells_them_so(workflow: Jobs) -> None:
    run_id = workflow.glue.start_workflow_run(Name="features")["RunId"]
    run = finished(workflow, run_id)
    assert run["Status"] == "COMPLETED"
    assert run["Statistics"]["SucceededActions"] == 2
    assert [node["Name"] for node in run["Graph"]["Nodes"]] == ["embeddings", "splits"]
    for name in ("embeddings", "splits"):
        arguments = workflow.written(workflow.runs(name)[0]["Id"])["arguments"]
        assert arguments["--WORKFLOW_NAME"] == "features"
        assert arguments["--WORKFLOW_RUN_ID"] == run_id


def test_a_failed_job_ends_the_workflow_before_the_next(workflow: Jobs) -> None:
    workflow.glue.update_job(
        JobName="embeddings",
        JobUpdate={
            "Role": "r",
            "Command": {"Name": "glueetl", "ScriptLocation": "s3://plays/scripts/job.py"},
            "DefaultArguments": {"--fail": "no country left", "--data_uri": "s3://plays/"},
        },
    )
    run = finished(workflow, workflow.glue.start_workflow_run(Name="features")["RunId"])
    assert (run["Status"], run["Statistics"]["FailedActions"]) == ("COMPLETED", 1)
    assert workflow.runs("splits") == []


def test_a_workflow_runs_as_often_at_once_as_it_allows(workflow: Jobs) -> None:
    run_id = workflow.glue.start_workflow_run(Name="features")["RunId"]
    with pytest.raises(ClientError) as error:
        workflow.glue.start_workflow_run(Name="features")
    assert error.value.response["Error"]["Code"] == "ConcurrentRunsExceededException"
    workflow.glue.stop_workflow_run(Name="features", RunId=run_id)
    assert finished(workflow, run_id)["Status"] in {"STOPPED", "STOPPING"}


def test_a_workflow_without_a_start_trigger_is_refused(jobs: Jobs) -> None:
    jobs.glue.create_workflow(Name="empty")
    with pytest.raises(ClientError, match="no start trigger"):
        jobs.glue.start_workflow_run(Name="empty")
