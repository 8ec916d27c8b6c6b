"""The emulator's state on disk, and back.

Kept: S3 objects (their current versions), SSM parameters, the records of Glue runs, workflow
runs, training jobs, executions with their history, model packages, and log lines. Not kept: what
CDK deploys. So the stacks are deployed again first, and the state is restored into them; no event
is sent meanwhile, or an uploaded batch would start a second workflow.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.glue.models import glue_backends
from moto.logs.models import logs_backends
from moto.sagemaker.models import sagemaker_backends
from moto.ssm.models import ssm_backends
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local_aws.errors import LocalAwsError
from local_aws.glue import ENDED, JobRun, Origin, WorkflowRun
from local_aws.objects import Location
from local_aws.runtime import ACCOUNT, REGION, Runtime
from local_aws.training import LISTED, TrainingJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

FORMAT = 1
LEFT_OUT = "cdk-"
"""Buckets that begin so hold what CDK's bootstrap brings, and a deployment brings again."""
Record = dict[str, Any]


class Snapshot:
    """Writes and restores the folder ``<state>/snapshot``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.folder = runtime.settings.state / "snapshot"
        # A state that was found but never restored must not be overwritten by an empty one.
        self._safe_to_write = not self.folder.exists()

    def describe(self) -> Record:
        """Say whether there is a snapshot and whether it was restored."""
        return {"exists": self.folder.exists(), "restored": self._safe_to_write}

    def write_at_exit(self) -> None:
        """Write the state, unless that would lose one that was never restored."""
        if self._safe_to_write:
            self.write()
        else:
            log.warning("the snapshot in %s was never restored, so it is kept", self.folder)

    def write(self) -> Record:
        """Write the state; returns how many records of each kind."""
        partial = self.folder.with_name("snapshot.partial")
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "objects").mkdir(parents=True)
        content = {kind: list(save(self._runtime, partial)) for kind, (save, _) in PARTS.items()}
        document = {"format": FORMAT, "written": datetime.now(UTC), **content}
        text = json.dumps(document, default=_to_json, indent=1)
        (partial / "state.json").write_text(text, encoding="utf-8")
        old = self.folder.with_name("snapshot.old")
        shutil.rmtree(old, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(old)
        partial.rename(self.folder)
        shutil.rmtree(old, ignore_errors=True)
        self._safe_to_write = True
        return {kind: len(records) for kind, records in content.items()}

    def restore(self) -> Record:
        """Bring the written state back; returns how many records of each kind.

        Raises
        ------
        LocalAwsError
            If there is none, or it has another format.
        """
        path = self.folder / "state.json"
        if not path.exists():
            raise LocalAwsError(f"there is no snapshot in {self.folder}: nothing to restore")
        document = json.loads(path.read_text(encoding="utf-8"), object_hook=_from_json)
        if document["format"] != FORMAT:
            raise LocalAwsError(
                f"{path} has format {document['format']}, this emulator reads {FORMAT}: "
                "remove the state folder"
            )
        for kind, (_, load) in PARTS.items():
            for record in document[kind]:
                load(self._runtime, self.folder, record)
        self._safe_to_write = True
        return {kind: len(document[kind]) for kind in PARTS}


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    if isinstance(value, set):
        return sorted(value)
    return str(value)


def _from_json(value: Record) -> Any:
    return datetime.fromisoformat(value["$time"]) if value.keys() == {"$time"} else value


# S3


def _save_objects(runtime: Runtime, folder: Path) -> Iterable[Record]:
    for bucket in runtime.objects.buckets():
        if bucket.startswith(LEFT_OUT):
            continue
        for key, record in runtime.objects.list(Location(bucket, "")):
            body = record.value
            name = hashlib.sha256(body).hexdigest()
            (folder / "objects" / name).write_bytes(body)
            yield {
                "bucket": bucket,
                "key": key,
                "body": name,
                "metadata": dict(record.metadata),
                "modified": record.last_modified,
            }


def _load_object(runtime: Runtime, folder: Path, record: Record) -> None:
    bucket = record["bucket"]
    if bucket not in runtime.objects.backend.buckets:
        runtime.objects.backend.create_bucket(bucket, REGION)
    body = (folder / "objects" / record["body"]).read_bytes()
    made = runtime.objects.put(Location(bucket, record["key"]), body, notify=False)
    made.set_metadata(record["metadata"])
    made.last_modified = record["modified"]


# SSM


def _save_parameters(_runtime: Runtime, _folder: Path) -> Iterable[Record]:
    backend: Any = ssm_backends[ACCOUNT][REGION]
    for name in list(backend._parameters):
        if name.startswith("/cdk-bootstrap/"):
            continue
        versions = backend._parameters[name]
        yield {
            "name": name,
            "type": versions[-1].parameter_type,
            "values": [version.value for version in versions],
            "modified": [version.last_modified_date for version in versions],
        }


def _load_parameter(_runtime: Runtime, _folder: Path, record: Record) -> None:
    backend: Any = ssm_backends[ACCOUNT][REGION]
    backend._parameters.pop(record["name"], None)
    for value, modified in zip(record["values"], record["modified"], strict=True):
        _put_parameter(backend, record, value)
        backend._parameters[record["name"]][-1].last_modified_date = modified


def _put_parameter(backend: Any, record: Record, value: str) -> None:
    backend.put_parameter(
        name=record["name"],
        description="",
        value=value,
        parameter_type=record["type"],
        allowed_pattern="",
        keyid="",
        overwrite=True,
        tags=[],
        data_type="text",
        tier=None,
        policies=None,
    )


# Glue

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


def _save_workflow_runs(_runtime: Runtime, _folder: Path) -> Iterable[Record]:
    for workflow in glue_backends[ACCOUNT][REGION].workflows.values():
        for run in workflow.runs.values():
            yield {
                "workflow": workflow.name,
                "run_id": run.run_id,
                "properties": run.properties,
                "status": run.status if run.completed_on else "STOPPED",
                "started_on": run.started_on,
                "completed_on": run.completed_on or datetime.now(UTC),
            }


def _load_workflow_run(_runtime: Runtime, _folder: Path, record: Record) -> None:
    workflow = glue_backends[ACCOUNT][REGION].workflows.get(record["workflow"])
    if workflow is None:
        return
    run = WorkflowRun(workflow_name=workflow.name, properties=record["properties"])
    for field in ("run_id", "status", "started_on", "completed_on"):
        setattr(run, field, record[field])
    workflow.runs[run.run_id] = run


def _save_job_runs(_runtime: Runtime, _folder: Path) -> Iterable[Record]:
    for job in glue_backends[ACCOUNT][REGION].jobs.values():
        runs: list[Any] = list(job.job_runs)
        for run in runs:
            origin = run.origin
            yield {
                **{field: getattr(run, field) for field in RUN_FIELDS},
                "state": run.status if run.status in ENDED else "STOPPED",
                "trigger": origin.trigger,
                "workflow": origin.workflow.workflow_name if origin.workflow else None,
                "workflow_run": origin.workflow.run_id if origin.workflow else None,
            }


def _load_job_run(_runtime: Runtime, _folder: Path, record: Record) -> None:
    backend = glue_backends[ACCOUNT][REGION]
    job = backend.jobs.get(record["job_name"])
    if job is None:
        return
    run = JobRun(job_name=job.name)
    for field in RUN_FIELDS:
        setattr(run, field, record[field])
    run.status = record["state"]
    workflow = backend.workflows.get(record["workflow"])
    workflow_run = workflow.runs.get(record["workflow_run"]) if workflow else None
    run.origin = Origin(record["trigger"], workflow_run)  # type: ignore[arg-type]
    if workflow_run is not None:
        workflow_run.job_runs.append(run)  # type: ignore[attr-defined]
    job.job_runs.append(run)


# SageMaker


def _save_training_jobs(_runtime: Runtime, _folder: Path) -> Iterable[Record]:
    for job in sagemaker_backends[ACCOUNT][REGION].training_jobs.values():
        yield {**{field: getattr(job, field) for field in LISTED}, "artifacts": job.model_artifacts}


def _load_training_job(_runtime: Runtime, _folder: Path, record: Record) -> None:
    backend = sagemaker_backends[ACCOUNT][REGION]
    absent = dict.fromkeys(
        (
            "tags",
            "debug_hook_config",
            "debug_rule_configurations",
            "tensor_board_output_config",
            "experiment_config",
        )
    )
    given = {field: record[field] for field in LISTED if field in _TRAINING_REQUEST}
    job = TrainingJob(account_id=ACCOUNT, region_name=REGION, **given, **absent)
    for field in LISTED:
        setattr(job, field, record[field])
    job.model_artifacts = record["artifacts"]
    if job.training_job_status in {"InProgress", "Stopping"}:
        job.end("Stopped", "The emulator was stopped")
    backend.training_jobs[job.training_job_name] = job


_TRAINING_REQUEST = frozenset(
    {
        "training_job_name",
        "hyper_parameters",
        "algorithm_specification",
        "role_arn",
        "input_data_config",
        "output_data_config",
        "resource_config",
        "vpc_config",
        "stopping_condition",
        "enable_network_isolation",
        "enable_inter_container_traffic_encryption",
        "enable_managed_spot_training",
        "checkpoint_config",
    }
)

PACKAGE_FIELDS = (
    "model_package_description",
    "inference_specification",
    "source_algorithm_specification",
    "validation_specification",
    "certify_for_marketplace",
    "model_approval_status",
    "metadata_properties",
    "model_metrics",
    "customer_metadata_properties",
    "drift_check_baselines",
    "domain",
    "task",
    "sample_payload_url",
    "additional_inference_specifications",
    "client_token",
    "tags",
)
PACKAGE_HISTORY = (
    "creation_time",
    "last_modified_time",
    "last_modified_by",
    "approval_description",
)


def _save_model_packages(_runtime: Runtime, _folder: Path) -> Iterable[Record]:
    for package in sagemaker_backends[ACCOUNT][REGION].model_packages.values():
        yield {
            **{field: getattr(package, field) for field in PACKAGE_FIELDS},
            "group": package.model_package_group_name,
            **{field: getattr(package, field) for field in PACKAGE_HISTORY},
        }


def _load_model_package(_runtime: Runtime, _folder: Path, record: Record) -> None:
    backend = sagemaker_backends[ACCOUNT][REGION]
    if record["group"] not in backend.model_package_groups:
        return
    arn = backend.create_model_package(
        model_package_name=None,
        model_package_group_name=record["group"],
        **{field: record[field] for field in PACKAGE_FIELDS},
    )
    for field in PACKAGE_HISTORY:
        setattr(backend.model_packages[arn], field, record[field])


# Step Functions


class FormerExecution(Execution):
    """An execution of an earlier start of the emulator: a record, nothing runs."""

    history: list[Record]

    def to_history_output(self) -> Any:
        """Return the events that were written."""
        return {"events": self.history}


def _machines() -> list[Any]:
    return list(stepfunctions_parser_backends[ACCOUNT][REGION].state_machines)


def _save_executions(_runtime: Runtime, _folder: Path) -> Iterable[Record]:
    for machine in _machines():
        for execution in machine.executions:
            running = execution.status == "RUNNING"
            yield {
                "machine": machine.arn,
                "name": execution.name,
                "arn": execution.exec_arn,
                "input": execution.execution_input,
                "output": execution.output,
                "status": "ABORTED" if running else execution.status,
                "error": execution.error,
                "cause": execution.cause,
                "started": execution.start_date,
                "stopped": execution.stop_date or datetime.now(UTC),
                "history": [dict(event) for event in execution.to_history_output()["events"]],
            }


def _load_execution(_runtime: Runtime, _folder: Path, record: Record) -> None:
    machine = next((one for one in _machines() if one.arn == record["machine"]), None)
    if machine is None:
        return
    execution = FormerExecution(
        name=record["name"],
        sm_type=machine.sm_type,
        role_arn=machine.roleArn,
        exec_arn=record["arn"],
        account_id=ACCOUNT,
        region_name=REGION,
        state_machine=machine,
        start_date=record["started"],
        cloud_watch_logging_session=None,
        activity_store={},
        input_data=record["input"],
    )
    execution.exec_status = ExecutionStatus(record["status"])
    execution.output = record["output"]
    execution.error, execution.cause = record["error"], record["cause"]
    execution.stop_date = record["stopped"]
    execution.history = record["history"]
    machine.executions.append(execution)


# CloudWatch Logs


def _save_logs(_runtime: Runtime, _folder: Path) -> Iterable[Record]:
    for group in logs_backends[ACCOUNT][REGION].groups.values():
        for stream in group.streams.values():
            events = [[event.timestamp, event.message] for event in stream.events]
            yield {"group": group.name, "stream": stream.log_stream_name, "events": events}


def _load_log(_runtime: Runtime, _folder: Path, record: Record) -> None:
    backend: Any = logs_backends[ACCOUNT][REGION]
    if record["group"] not in backend.groups:
        backend.create_log_group(record["group"], {})
    if record["stream"] in backend.groups[record["group"]].streams:
        return
    backend.create_log_stream(record["group"], record["stream"])
    events = [{"timestamp": when, "message": text} for when, text in record["events"]]
    if events:
        backend.put_log_events(record["group"], record["stream"], events)


PARTS: Mapping[
    str,
    tuple[Callable[[Runtime, Path], Iterable[Record]], Callable[[Runtime, Path, Record], None]],
] = {
    "objects": (_save_objects, _load_object),
    "parameters": (_save_parameters, _load_parameter),
    "workflow_runs": (_save_workflow_runs, _load_workflow_run),
    "job_runs": (_save_job_runs, _load_job_run),
    "training_jobs": (_save_training_jobs, _load_training_job),
    "model_packages": (_save_model_packages, _load_model_package),
    "executions": (_save_executions, _load_execution),
    "logs": (_save_logs, _load_log),
}
