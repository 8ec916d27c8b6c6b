"""Records of AWS Glue: job runs and workflow runs as moto keeps them, and a job's definition."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import signature
from typing import TYPE_CHECKING, Any

from moto.core.utils import utcnow
from moto.glue import models

from local_aws.runtime import ACCOUNT, REGION

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator, Mapping

LOG_GROUP = "/aws-glue/jobs"
ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR"})
JOB_FIELDS = {
    "Role": "role",
    "Command": "command",
    "Description": "description",
    "LogUri": "log_uri",
    "ExecutionProperty": "execution_property",
    "DefaultArguments": "default_arguments",
    "NonOverridableArguments": "non_overridable_arguments",
    "Connections": "connections",
    "MaxRetries": "max_retries",
    "AllocatedCapacity": "allocated_capacity",
    "Timeout": "timeout",
    "MaxCapacity": "max_capacity",
    "SecurityConfiguration": "security_configuration",
    "NotificationProperty": "notification_property",
    "GlueVersion": "glue_version",
    "NumberOfWorkers": "number_of_workers",
    "WorkerType": "worker_type",
    "ExecutionClass": "execution_class",
}
"""Property of a job in the API and in templates, and moto's name for it."""
RUN_REQUEST = tuple(signature(models.FakeJobRun).parameters)
"""What moto makes the record of a run from."""
RUN_FIELDS = (
    "job_name",
    "job_run_id",
    "previous_run_id",
    "arguments",
    "attempt",
    "error_message",
    "started_on",
    "modified_on",
    "ended_on",
    "timeout",
    "allocated_capacity",
    "max_capacity",
    "worker_type",
    "number_of_workers",
    "glue_version",
)
"""What a snapshot keeps of a run."""


@dataclass(frozen=True)
class Origin:
    """What started a run; on AWS, runs that a trigger started can set off further triggers."""

    trigger: str | None = None
    workflow: WorkflowRun | None = None
    predecessors: tuple[JobRun, ...] = ()


class JobRun(models.FakeJobRun):
    """One attempt at running a job."""

    status: str = "STARTING"
    """State as the API names it; it is the process's, and no clock of moto's moves it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.origin = Origin()
        self.attempt = 0
        self.glue_version = "5.1"
        self.error_message: str | None = None
        self.ended_on: datetime | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.stop_requested = threading.Event()

    def adopt(self, origin: Origin) -> None:
        """Say what started the run; a workflow's run counts it."""
        self.origin = origin
        if origin.workflow is not None:
            origin.workflow.job_runs.append(self)

    def again(self) -> JobRun:
        """Return the record of the next attempt."""
        run = JobRun(**{name: getattr(self, name) for name in RUN_REQUEST})
        run.attempt = self.attempt + 1
        run.job_run_id = f"{self.first_id}_attempt_{run.attempt}"
        run.glue_version = self.glue_version
        return run

    @property
    def first_id(self) -> str:
        """Id of the first attempt."""
        return self.job_run_id.split("_attempt_")[0]

    def move_to(self, state: str, error: str | None = None) -> None:
        """Enter a state."""
        self.error_message = error
        self.modified_on = utcnow()
        if state in ENDED:
            self.ended_on = self.modified_on
        self.status = state

    def as_dict(self) -> dict[str, Any]:
        """Return the run as GetJobRun does."""
        until = self.ended_on or utcnow()
        answer = super().as_dict() | {
            "Attempt": self.attempt,
            "StartedOn": self.started_on,
            "CompletedOn": self.ended_on,
            "ExecutionTime": int((until - self.started_on).total_seconds()),
            "LogGroupName": LOG_GROUP,
            "GlueVersion": self.glue_version,
            "ErrorMessage": self.error_message,
            "TriggerName": self.origin.trigger,
            "PredecessorRuns": [
                {"JobName": run.job_name, "RunId": run.job_run_id}
                for run in self.origin.predecessors
            ],
        }
        return {name: value for name, value in answer.items() if value is not None}


class WorkflowRun(models.FakeWorkflowRun):
    """One run of a workflow: the job runs that its triggers started."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.job_runs: list[JobRun] = []
        self.errored = 0
        self.fired: set[str] = set()

    def as_dict(self) -> dict[str, Any]:
        """Return the run as GetWorkflowRun does, without the graph."""
        return super().as_dict() | {"Statistics": self.statistics()}

    def statistics(self) -> dict[str, int]:
        """Count the run's actions by outcome."""
        states = [run.status for run in last_attempts(self.job_runs)]
        return {
            "TotalActions": len(states) + self.errored,
            "TimeoutActions": states.count("TIMEOUT"),
            "FailedActions": states.count("FAILED"),
            "StoppedActions": states.count("STOPPED"),
            "SucceededActions": states.count("SUCCEEDED"),
            "RunningActions": sum(state not in ENDED for state in states),
            "ErroredActions": self.errored,
        }

    def graph(self) -> dict[str, Any]:
        """Return the nodes that have run."""
        jobs: dict[str, list[dict[str, Any]]] = {}
        for run in self.job_runs:
            jobs.setdefault(run.job_name, []).append(run.as_dict())
        return {
            "Nodes": [
                {"Type": "JOB", "Name": name, "UniqueId": name, "JobDetails": {"JobRuns": runs}}
                for name, runs in jobs.items()
            ],
            "Edges": [],
        }


def last_attempts(runs: Iterable[JobRun]) -> list[JobRun]:
    """Return of each run the attempt that counts."""
    return list({run.first_id: run for run in runs}.values())


def update_job(job: Any, properties: Mapping[str, Any]) -> None:
    """Overwrite a job's definition: what is not given is reset, as UpdateJob does."""
    for name, attribute in JOB_FIELDS.items():
        empty: Any = {} if attribute in {"default_arguments", "execution_property"} else None
        setattr(job, attribute, properties.get(name, empty))
    job.execution_class = job.execution_class or "STANDARD"
    job.last_modified_on = utcnow()


# Snapshot


def save_workflow_runs() -> Iterator[dict[str, Any]]:
    """Return the runs of all workflows; one that is not done is stopped by the end."""
    for workflow in models.glue_backends[ACCOUNT][REGION].workflows.values():
        for run in workflow.runs.values():
            yield {
                "workflow": workflow.name,
                "run_id": run.run_id,
                "properties": run.properties,
                "status": run.status if run.completed_on else "STOPPED",
                "started_on": run.started_on,
                "completed_on": run.completed_on or datetime.now(UTC),
            }


def restore_workflow_run(record: dict[str, Any]) -> None:
    """Bring a run back if its workflow is there."""
    workflow = models.glue_backends[ACCOUNT][REGION].workflows.get(record["workflow"])
    if workflow is None:
        return
    run = WorkflowRun(workflow_name=workflow.name, properties=record["properties"])
    for field in ("run_id", "status", "started_on", "completed_on"):
        setattr(run, field, record[field])
    workflow.runs[run.run_id] = run


def save_job_runs() -> Iterator[dict[str, Any]]:
    """Return the runs of all jobs; one that is not done is stopped by the end."""
    for job in models.glue_backends[ACCOUNT][REGION].jobs.values():
        runs: list[Any] = list(job.job_runs)
        for run in runs:
            workflow = run.origin.workflow
            yield {
                **{field: getattr(run, field) for field in RUN_FIELDS},
                "state": run.status if run.status in ENDED else "STOPPED",
                "trigger": run.origin.trigger,
                "workflow": workflow.workflow_name if workflow else None,
                "workflow_run": workflow.run_id if workflow else None,
            }


def restore_job_run(record: dict[str, Any]) -> None:
    """Bring a run back if its job is there; the runs of workflows come before."""
    backend: Any = models.glue_backends[ACCOUNT][REGION]
    job = backend.jobs.get(record["job_name"])
    if job is None:
        return
    run = JobRun(job_name=job.name)
    for field in RUN_FIELDS:
        setattr(run, field, record[field])
    run.status = record["state"]
    workflow = backend.workflows.get(record["workflow"])
    workflow_run = workflow.runs.get(record["workflow_run"]) if workflow else None
    run.adopt(Origin(record["trigger"], workflow_run))
    job.job_runs.append(run)
