"""AWS Glue: job runs on Spark, triggers and workflows that drive them.

Moto keeps the records and answers the API; a started run here really runs the job's script.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

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
from local_aws.glue_records import ENDED, JobRun, Origin, WorkflowRun, last_attempts, update_job
from local_aws.glue_runs import JobProcess
from local_aws.runtime import ACCOUNT, REGION, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local_aws.events import EventBus
    from local_aws.patching import Patches

log = logging.getLogger(__name__)

START_TYPES = frozenset({"ON_DEMAND", "EVENT", "SCHEDULED"})
START_REQUEST = tuple(signature(models.FakeJob.start_job_run).parameters)[1:]
"""What a run may be started with; a trigger's action gives some of it."""


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
        patches.replace(models, "FakeJobRun", JobRun)
        patches.replace(models, "FakeWorkflowRun", WorkflowRun)
        patches.wrap(models.FakeJob, "start_job_run", self._start)
        patches.wrap(models.GlueBackend, "create_job", _named("create_job", "Job"))
        patches.wrap(models.GlueBackend, "create_workflow", _named("create_workflow", "Workflow"))
        patches.wrap(models.GlueBackend, "create_trigger", _named("create_trigger", "Trigger"))
        patches.wrap(models.GlueBackend, "start_trigger", self._start_trigger)
        patches.wrap(models.GlueBackend, "start_workflow_run", self._start_workflow_run)
        patches.wrap(models.GlueBackend, "stop_workflow_run", self._stop_workflow_run)
        patches.wrap(GlueResponse, "get_workflow_run", self._get_workflow_run)
        patches.add(GlueResponse, "batch_stop_job_run", self._batch_stop_job_run)
        patches.add(GlueResponse, "update_job", self._update_job)
        self.events.deliver_to("glue", self._notify)

    # Runs

    def _start(
        self,
        original: Callable[..., str],
        job: Any,
        *,
        origin: Origin | None = None,
        **request: Any,
    ) -> str:
        """Record and start a run; moto refuses more than the job allows at once."""
        with self._lock:
            run_id = original(job, **request)
            run = job.get_job_run(run_id)
            run.glue_version = job.glue_version or run.glue_version
            run.adopt(origin or Origin())
        self.runtime.submit(self._run, job, run)
        return run_id

    def _run(self, job: Any, run: JobRun) -> None:
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

    def _attempt(self, job: Any, run: JobRun) -> tuple[str, str | None]:
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

    def _retry(self, job: Any, run: JobRun) -> JobRun | None:
        if run.attempt >= (job.max_retries or 0) or self.runtime.stopping.is_set():
            return None
        with self._lock:
            again = run.again()
            job.job_runs.append(again)
            again.adopt(run.origin)
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
            request = {name: getattr(action, name, None) for name in START_REQUEST}
            try:
                self.backend.get_job(action.job_name).start_job_run(**request, origin=origin)
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
            last = [r for r in last_attempts(candidates) if r.job_name == condition.job_name][-1:]
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


def _named(operation: str, kind: str) -> Callable[..., Any]:
    def create(original: Callable[..., Any], backend: Any, *args: Any, **request: Any) -> Any:
        name = request["name"] if "name" in request else args[0]
        broken = names.violation("glue", "NameString", name)
        if broken:
            raise InvalidInputException(operation, f"{kind} name '{name}': {broken}")
        return original(backend, *args, **request)

    return create
