"""Records of SageMaker training jobs, as moto keeps them."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from moto.core.utils import utcnow
from moto.sagemaker import models

from local_aws.runtime import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

REQUEST = tuple(signature(models.FakeTrainingJob).parameters)[2:]
"""What a job is made from, but account and region."""
LISTED = (
    "training_job_name",
    "hyper_parameters",
    "algorithm_specification",
    "role_arn",
    "input_data_config",
    "output_data_config",
    "resource_config",
    "vpc_config",
    "stopping_condition",
    "creation_time",
    "training_start_time",
    "training_end_time",
    "last_modified_time",
    "training_job_status",
    "secondary_status",
    "secondary_status_transitions",
    "failure_reason",
    "final_metric_data_list",
    "enable_network_isolation",
    "enable_inter_container_traffic_encryption",
    "enable_managed_spot_training",
    "checkpoint_config",
    "environment",
    "training_time_in_seconds",
    "billable_time_in_seconds",
)
"""Attributes that DescribeTrainingJob returns; the model artifacts come when the job is done."""


class TrainingJob(models.FakeTrainingJob):
    """The record of a job."""

    def __init__(self, *args: Any, **request: Any) -> None:
        specification = request["algorithm_specification"]
        # Moto writes metrics of its own into what it is given.
        super().__init__(*args, **{**request, "algorithm_specification": dict(specification)})
        self.algorithm_specification = specification
        self.environment: dict[str, str] = {}
        self.failure_reason: str | None = None
        self.final_metric_data_list = []
        self.secondary_status_transitions = []
        self.training_start_time: datetime | None = None  # type: ignore[assignment]
        self.training_end_time: datetime | None = None  # type: ignore[assignment]
        self.training_time_in_seconds: int | None = None
        self.billable_time_in_seconds: int | None = None
        self.training_job_status = "InProgress"
        self.move_to("Starting", "Preparing the instances for training")

    def move_to(self, secondary: str, message: str) -> None:
        """Enter a secondary status; the statuses that end a job are primary ones too."""
        now = utcnow()
        if self.secondary_status_transitions:
            self.secondary_status_transitions[-1].setdefault("EndTime", now)
        self.secondary_status_transitions.append(
            {"Status": secondary, "StartTime": now, "StatusMessage": message}
        )
        self.secondary_status = secondary
        self.last_modified_time = now

    def end(self, status: str, message: str, *, secondary: str | None = None) -> None:
        """Enter a final status."""
        self.move_to(secondary or status, message)
        self.training_end_time = self.last_modified_time
        if self.training_start_time is not None:
            spent = self.training_end_time - self.training_start_time
            self.training_time_in_seconds = int(spent.total_seconds())
            self.billable_time_in_seconds = self.training_time_in_seconds
        self.training_job_status = status

    @property
    def response_object(self) -> dict[str, Any]:
        """The job as DescribeTrainingJob returns it."""
        answer = {self.camelCase(name): getattr(self, name) for name in LISTED}
        answer["TrainingJobArn"] = self.arn
        if self.training_job_status == "Completed":
            answer["ModelArtifacts"] = self.model_artifacts
        return {name: value for name, value in answer.items() if value is not None}


def save() -> Iterator[dict[str, Any]]:
    """Return all jobs."""
    for job in models.sagemaker_backends[ACCOUNT][REGION].training_jobs.values():
        yield {**{field: getattr(job, field) for field in LISTED}, "artifacts": job.model_artifacts}


def restore(record: dict[str, Any]) -> None:
    """Bring a job back; one that was not done has stopped."""
    request = {field: record.get(field) for field in REQUEST}
    job = TrainingJob(account_id=ACCOUNT, region_name=REGION, **request)
    for field in LISTED:
        setattr(job, field, record[field])
    job.model_artifacts = record["artifacts"]
    if job.training_job_status in {"InProgress", "Stopping"}:
        job.end("Stopped", "The emulator was stopped")
    models.sagemaker_backends[ACCOUNT][REGION].training_jobs[job.training_job_name] = job
