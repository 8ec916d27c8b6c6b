"""Runs of a system's feature workflow, training and jobs: started, found, followed.

Only AWS's own interfaces are used, so a run on AWS and one on the emulator look the same.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from listening.errors import ResourceError
from listening.systems import ASSEMBLE, SYSTEMS
from ops.connection import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_sagemaker.type_defs import DescribeTrainingJobResponseTypeDef

    from ops.connection import Connection

WAITING, RUNNING, SUCCEEDED, FAILED = "WAITING", "RUNNING", "SUCCEEDED", "FAILED"

_STATES = {
    "STARTING": RUNNING,
    "RUNNING": RUNNING,
    "STOPPING": RUNNING,
    "EXECUTING": RUNNING,
    "InProgress": RUNNING,
    "Stopping": RUNNING,
    "WAITING": WAITING,
    "SUCCEEDED": SUCCEEDED,
    "COMPLETED": SUCCEEDED,
    "Completed": SUCCEEDED,
}
"""What AWS calls a state that is not a failure; every other one is."""

SCORING, DRIFT = "scoring", "drift"
"""Jobs that a command starts, of every system that has them."""
MOST_JOBS = 100

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One job of a run.

    Parameters
    ----------
    name
        Of the Glue job, the training task, or what a mapped task was done for.
    state
        `WAITING`, `RUNNING`, `SUCCEEDED` or `FAILED`.
    id
        Glue run id or training job name.
    seconds
        How long it has run, or ran; None before it starts.
    detail
        A metric, or why it failed.
    """

    name: str
    state: str
    id: str = ""
    seconds: float | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of the workflow or of one job, or an execution of the state machine.

    Parameters
    ----------
    kind
        ``features``, ``training`` or the job's name.
    id
        Workflow run id, job run id or execution ARN.
    state
        `RUNNING`, `SUCCEEDED` or `FAILED`.
    started
        When.
    seconds
        How long it has run, or ran.
    steps
        Its jobs, in the order in which they are shown.
    reason
        Why it failed, or nothing.
    output
        What a training run hands back: bundle version, decision, reasons.
    """

    kind: str
    id: str
    state: str
    started: datetime
    seconds: float
    steps: tuple[Step, ...]
    reason: str = ""
    output: dict[str, Any] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in (SUCCEEDED, FAILED)

    def step(self, name: str) -> Step:
        """Return the step of this name.

        Raises
        ------
        ResourceError
            There is none.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise ResourceError(f"{self.kind} run {self.id} has no step '{name}'")


def start_features(connection: Connection, system: str) -> str:
    """Start the feature workflow and return the run's id."""
    with explained(f"starting the feature workflow of {system}"):
        return connection.glue.start_workflow_run(Name=connection.names.of(system).workflow)[
            "RunId"
        ]


def feature_run_ids(connection: Connection, system: str) -> list[str]:
    """Return the ids of the workflow's runs, newest first."""
    with explained(f"listing the runs of the feature workflow of {system}"):
        runs = connection.glue.get_workflow_runs(
            Name=connection.names.of(system).workflow, IncludeGraph=False, MaxResults=MOST_JOBS
        ).get("Runs", [])
    runs.sort(key=lambda run: run["StartedOn"], reverse=True)
    return [run["WorkflowRunId"] for run in runs]


def feature_run(connection: Connection, run_id: str, *, system: str) -> Run:
    """Return the state of a run of the feature workflow."""
    names = connection.names.of(system)
    with explained(f"reading workflow run {run_id}"):
        run = connection.glue.get_workflow_run(
            Name=names.workflow, RunId=run_id, IncludeGraph=True
        )["Run"]
    nodes = {
        node["Name"]: node
        for node in run.get("Graph", {}).get("Nodes", [])
        if node["Type"] == "JOB"
    }
    steps = tuple(
        _glue_step(job.name, nodes.get(names.job(job.name), {})) for job in SYSTEMS[system].workflow
    )
    failed = [step for step in steps if step.state == FAILED]
    state = _STATES.get(run["Status"], FAILED)
    if failed and state != RUNNING:
        state = FAILED  # a workflow run completes even where its jobs do not
    return Run(
        kind="features",
        id=run_id,
        state=state,
        started=run["StartedOn"],
        seconds=_elapsed(run["StartedOn"], run.get("CompletedOn")),
        steps=steps,
        reason="; ".join(f"{step.name}: {step.detail}" for step in failed)
        or run.get("ErrorMessage", ""),
    )


def _glue_step(name: str, node: Any) -> Step:
    runs = node.get("JobDetails", {}).get("JobRuns", [])
    if not runs:
        return Step(name=name, state=WAITING)
    run = max(runs, key=lambda run: run["StartedOn"])
    over = run.get("CompletedOn")
    return Step(
        name=name,
        state=_STATES.get(run["JobRunState"], FAILED),
        id=run["Id"],
        seconds=_elapsed(run["StartedOn"], over),
        detail=run.get("ErrorMessage", ""),
    )


def start_job(
    connection: Connection,
    job: str,
    *,
    system: str,
    arguments: Mapping[str, str] | None = None,
) -> str:
    """Start a Glue job of a system and return the job run's id.

    Raises
    ------
    ResourceError
        The system has no such job, or not in this environment.
    """
    name = connection.names.of(system).job(SYSTEMS[system].job(job).name)
    with explained(f"starting Glue job {name}"):
        return connection.glue.start_job_run(JobName=name, Arguments=arguments or {})["JobRunId"]


def finish_job(
    connection: Connection,
    job: str,
    *,
    system: str,
    arguments: Mapping[str, str] | None = None,
    seconds: float = 30 * 60,
) -> Run:
    """Start a Glue job of a system, wait for its end and return the run.

    Raises
    ------
    ResourceError
        As `start_job`; or the run failed, or is not over in time.
    """
    run_id = start_job(connection, job, system=system, arguments=arguments)
    states = list(
        follow(lambda: job_run(connection, run_id, system=system, job=job), seconds=seconds)
    )
    ended = states[-1]
    if ended.state != SUCCEEDED:
        raise ResourceError(f"{job} run {run_id} failed: {ended.reason or 'no reason given'}")
    return ended


def start_drift(connection: Connection, system: str) -> str:
    """Start the drift job and return the job run's id.

    Raises
    ------
    ResourceError
        The system or the environment has no such job, or it runs already.
    """
    name = connection.names.of(system).job(SYSTEMS[system].job(DRIFT).name)
    if name not in _job_names(connection):
        raise ResourceError(
            f"environment {connection.environment} does not watch {system} for drift: give it "
            "`drift = {}` and a serving.capture_percent in infra/environments.toml, and deploy"
        )
    return start_job(connection, DRIFT, system=system)


def _job_names(connection: Connection) -> set[str]:
    with explained("listing the Glue jobs"):
        pages = connection.glue.get_paginator("get_jobs").paginate()
        return {job["Name"] for page in pages for job in page["Jobs"]}


def job_run(connection: Connection, run_id: str, *, system: str, job: str) -> Run:
    """Return the state of a run of a Glue job."""
    name = connection.names.of(system).job(job)
    with explained(f"reading {job} run {run_id}"):
        run = connection.glue.get_job_run(JobName=name, RunId=run_id)["JobRun"]
    step = _glue_step(job, {"JobDetails": {"JobRuns": [run]}})
    return Run(
        kind=job,
        id=run_id,
        state=step.state,
        started=run["StartedOn"],
        seconds=step.seconds or 0.0,
        steps=(step,),
        reason=step.detail,
    )


def start_training(connection: Connection, features_run: str, *, system: str) -> str:
    """Start the training state machine on a features run and return the execution's ARN."""
    with explained(f"starting the training state machine of {system}"):
        return connection.stepfunctions.start_execution(
            stateMachineArn=state_machine_arn(connection, system),
            name=f"by-hand-{int(time.time() * 1000)}",
            input=json.dumps({"features_run": features_run}),
        )["executionArn"]


def training_run_ids(connection: Connection, system: str) -> list[str]:
    """Return the ARNs of the state machine's executions, newest first."""
    with explained(f"listing the executions of the training state machine of {system}"):
        executions = connection.stepfunctions.list_executions(
            stateMachineArn=state_machine_arn(connection, system), maxResults=MOST_JOBS
        )["executions"]
    executions.sort(key=lambda execution: execution["startDate"], reverse=True)
    return [execution["executionArn"] for execution in executions]


def state_machine_arn(connection: Connection, system: str) -> str:
    """Return the ARN of a system's training state machine."""
    names = connection.names.of(system)
    return names.state_machine_arn(names.state_machine)


def training_run_of(connection: Connection, features_run: str, *, system: str) -> str | None:
    """Return the ARN of the newest execution that was started on a features run."""
    for arn in training_run_ids(connection, system):
        with explained(f"reading execution {arn}"):
            execution = connection.stepfunctions.describe_execution(executionArn=arn)
        if json.loads(execution.get("input") or "{}").get("features_run") == features_run:
            return arn
    return None


def training_key(execution_arn: str) -> str:
    """Return what names an execution's jobs and S3 prefix: the MD5 of its ARN."""
    return hashlib.md5(execution_arn.encode(), usedforsecurity=False).hexdigest()


def training_run(connection: Connection, execution_arn: str, *, system: str) -> Run:
    """Return the state of an execution of the training state machine and of its jobs.

    The jobs stand in the order of their tasks in the system's entry, the one that assembles last.
    """
    tasks = [*(task.name for task in SYSTEMS[system].train), ASSEMBLE]
    order = {f"{system}.{task}": number for number, task in enumerate(tasks)}
    with explained(f"reading execution {execution_arn}"):
        execution = connection.stepfunctions.describe_execution(executionArn=execution_arn)
        key = training_key(execution_arn)
        pages = connection.sagemaker.get_paginator("list_training_jobs").paginate(
            NameContains=key, SortBy="CreationTime", SortOrder="Ascending"
        )
        jobs = [job for page in pages for job in page["TrainingJobSummaries"]]
        described = [
            connection.sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"])
            for job in jobs
        ]
    steps: dict[str, tuple[int, Step]] = {}  # the last attempt of each task
    for job in described:
        step = _training_step(job, key)
        steps[step.name] = (order.get(job["HyperParameters"]["task"], len(order)), step)
    ordered = [step for _, step in sorted(steps.values(), key=lambda one: (one[0], one[1].name))]
    state = _STATES.get(execution["status"], FAILED)
    failed = [step for step in ordered if step.state == FAILED]
    reasons = [f"{step.name}: {step.detail}" for step in failed if step.detail]
    return Run(
        kind="training",
        id=execution_arn,
        state=state,
        started=execution["startDate"],
        seconds=_elapsed(execution["startDate"], execution.get("stopDate")),
        steps=tuple(ordered),
        reason="; ".join(reasons) or execution.get("cause", "") if state == FAILED else "",
        output=json.loads(execution.get("output") or "{}"),
    )


def _training_step(job: DescribeTrainingJobResponseTypeDef, key: str) -> Step:
    state = _STATES.get(job["TrainingJobStatus"], FAILED)
    metrics = ", ".join(
        f"{metric['MetricName']} {metric['Value']:.4g}"
        for metric in job.get("FinalMetricDataList", [])
    )
    return Step(
        name=job["TrainingJobName"].partition(f"-{key}")[0],
        state=state,
        id=job["TrainingJobName"],
        seconds=_elapsed(
            job.get("TrainingStartTime") or job["CreationTime"], job.get("TrainingEndTime")
        ),
        detail=job.get("FailureReason", "") if state == FAILED else metrics,
    )


def wait_for(
    find: Callable[[], Found | None], *, what: str, seconds: float, poll_seconds: float = 1.0
) -> Found:
    """Return what `find` finds, asking until a deadline.

    Raises
    ------
    ResourceError
        Nothing was found in time.
    """
    deadline = time.monotonic() + seconds
    while (found := find()) is None:
        if time.monotonic() > deadline:
            raise ResourceError(f"{what} did not appear within {seconds:.0f} s")
        time.sleep(poll_seconds)
    return found


def follow(read: Callable[[], Run], *, seconds: float, poll_seconds: float = 1.0) -> Iterator[Run]:
    """Yield a run's state again and again, the last time when it is over.

    Raises
    ------
    ResourceError
        It is not over at the deadline.
    """
    deadline = time.monotonic() + seconds
    while True:
        run = read()
        yield run
        if run.is_over:
            return
        if time.monotonic() > deadline:
            raise ResourceError(
                f"{run.kind} run {run.id} is not over after {seconds / 60:.0f} minutes"
            )
        time.sleep(poll_seconds)


def _elapsed(start: datetime, end: datetime | None) -> float:
    finish = _aware(end) if end else datetime.now(UTC)
    return max(0.0, (finish - _aware(start)).total_seconds())


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
