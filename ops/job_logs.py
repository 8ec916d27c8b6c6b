"""The logs of a system's jobs and of the endpoint, from CloudWatch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from listening.errors import ResourceError
from listening.systems import SYSTEMS
from ops import runs
from ops.connection import explained

if TYPE_CHECKING:
    from ops.connection import Connection

GLUE_GROUPS = "/aws-glue/jobs"
TRAINING_GROUP = "/aws/sagemaker/TrainingJobs"
ENDPOINT_GROUPS = "/aws/sagemaker/Endpoints/"


TRAINING, ENDPOINT = "training", "endpoint"
"""Whose logs there are beside those of a system's Glue jobs."""


def sources(system: str) -> list[str]:
    """Return whose logs there are: a system's Glue jobs, its training, the endpoint."""
    return [*(job.name for job in SYSTEMS[system].jobs), TRAINING, ENDPOINT]


def last_lines(
    connection: Connection, source: str, *, system: str, run: str | None = None, lines: int = 50
) -> list[str]:
    """Return the last lines that a job or the endpoint logged.

    Parameters
    ----------
    connection
        The environment.
    source
        Whose: one of `sources`.
    system
        Of which system; the endpoint is everyone's.
    run
        Glue run id or training job name; None for the last one.
    lines
        How many.

    Raises
    ------
    ResourceError
        It never ran, or logged nothing.
    """
    if source == ENDPOINT:
        groups, streams = f"{ENDPOINT_GROUPS}{connection.names.endpoint}", run or ""
    elif source == TRAINING:
        groups, streams = TRAINING_GROUP, run or _last_training_job(connection, system)
    else:
        job = connection.names.of(system).job(SYSTEMS[system].job(source).name)
        groups, streams = GLUE_GROUPS, run or _last_job_run(connection, job)
    found = _events(connection, groups=groups, streams=streams, most=lines)
    if not found:
        raise ResourceError(f"no logs of {source} under {groups} in streams '{streams}…'")
    return found


def _last_job_run(connection: Connection, job: str) -> str:
    with explained(f"listing the runs of {job}"):
        job_runs = connection.glue.get_job_runs(JobName=job)["JobRuns"]
    if not job_runs:
        raise ResourceError(f"Glue job {job} never ran")
    return max(job_runs, key=lambda job_run: job_run["StartedOn"])["Id"]


def _last_training_job(connection: Connection, system: str) -> str:
    executions = runs.training_run_ids(connection, system)
    if not executions:
        raise ResourceError(f"state machine {connection.names.of(system).state_machine} never ran")
    steps = runs.training_run(connection, executions[0], system=system).steps
    if not steps:
        raise ResourceError(f"execution {executions[0]} started no training job")
    failed = [step for step in steps if step.state == runs.FAILED]
    return (failed or list(steps))[-1].id


def _events(connection: Connection, *, groups: str, streams: str, most: int) -> list[str]:
    events: list[tuple[int, str]] = []
    with explained(f"reading the logs of {streams or groups}"):
        for group in connection.logs.describe_log_groups(logGroupNamePrefix=groups)["logGroups"]:
            name = group["logGroupName"]
            described = (
                connection.logs.describe_log_streams(logGroupName=name, logStreamNamePrefix=streams)
                if streams
                else connection.logs.describe_log_streams(logGroupName=name)
            )
            for stream in described["logStreams"]:
                answer = connection.logs.get_log_events(
                    logGroupName=name,
                    logStreamName=stream["logStreamName"],
                    limit=most,
                    startFromHead=False,
                )
                events += [(event["timestamp"], event["message"]) for event in answer["events"]]
    events.sort(key=lambda event: event[0])
    return [f"{_time(moment)}  {message.rstrip()}" for moment, message in events[-most:]]


def _time(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"
