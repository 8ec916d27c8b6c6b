"""A training job as a fragment of a state machine: run, and run again when AWS was at fault.

`tasks.SageMakerCreateTrainingJob` has no property for encryption between hosts, so the state is
written in the state language.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn

from listening.systems import validation_metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct

    from infra.constructs.sagemaker_role import Placement
    from infra.settings import TrainingSettings

ATTEMPTS = 3
"""How often a training job is run before its failure is the execution's."""
QUOTA_RETRIES, QUOTA_BACKOFF = 9, 1.5
"""How often a job without quota is asked for again, and by how much each wait is longer."""


FAULTS_OF_AWS = ("*CapacityError*", "*InternalServerError*")
"""What a job's failure reason says when AWS failed it."""


def longest_seconds(settings: TrainingSettings) -> int:
    """Return the most seconds that one job can take with all its attempts and waits."""
    run = settings.max_runtime_minutes * 60
    waits = sum(QUOTA_BACKOFF**retry for retry in range(QUOTA_RETRIES)) + 1
    return ATTEMPTS * (run + math.ceil(waits * settings.capacity_wait_seconds))


@dataclass(frozen=True)
class TrainingRuntime:
    """What all training jobs of an environment run on.

    Parameters
    ----------
    settings
        Instances and times.
    image_uri
        The image whose entry point runs.
    models_bucket
        Where output goes.
    output
        The prefix there, of the executions' own.
    key
        Encrypts volumes and output.
    placement
        Where the jobs run; outside a VPC if None.
    """

    settings: TrainingSettings
    image_uri: str
    models_bucket: s3.IBucket
    output: str
    key: kms.IKey
    placement: Placement | None = None


@dataclass(frozen=True)
class InputChannel:
    """An input channel: a prefix whose ``{}`` are filled from the state's input.

    Parameters
    ----------
    bucket
        The bucket that is read.
    prefix
        For example ``country/features/{}/artists/``.
    fields
        Paths into the state's input, one for each ``{}``.
    sharded
        Whether each host gets its share of the files instead of all.
    """

    bucket: s3.IBucket
    prefix: str
    fields: tuple[str, ...]
    sharded: bool = False

    def to_state(self, name: str) -> dict[str, Any]:
        """Return the channel in SageMaker's terms."""
        return {
            "ChannelName": name,
            "InputMode": "File",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3DataDistributionType": (
                        "ShardedByS3Key" if self.sharded else "FullyReplicated"
                    ),
                    "S3Uri.$": s3_uri(self.bucket, self.prefix, *self.fields),
                }
            },
        }


def s3_uri(bucket: s3.IBucket, key: str, *fields: str) -> str:
    """Return the expression of an S3 URI whose key is filled from the state's input."""
    return f"States.Format('s3://{bucket.bucket_name}/{key}', {', '.join(fields)})"


@dataclass(frozen=True, kw_only=True)
class TrainingTask:
    """What one training job does.

    Parameters
    ----------
    name
        What the states' names start with.
    identity
        In the state language: ``model``, the model's name, and ``slug``, at most 12 characters that
        the job's name starts with.
    channels
        Input channels by name.
    instance_type, instance_count
        SageMaker's name of the machines, and how many there are.
    role
        What the job may do.
    hyperparameters
        In the state language; strings.
    metric
        What it prints of the validation split; None for nothing.
    """

    name: str
    identity: Mapping[str, str]
    channels: Mapping[str, InputChannel]
    instance_type: str
    role: iam.IRole
    hyperparameters: Mapping[str, str]
    metric: str | None = None
    instance_count: int = 1


class TrainingJob(sfn.StateMachineFragment):
    """Train one model; the result is ``{"job": {"name": <training job>, "model": <model>}}``.

    The state's input must hold ``run`` (hash of the execution) and what the channels' fields and
    the hyperparameters name. A job that failed for want of capacity or by an internal error of
    SageMaker runs again under another name; any other failure keeps its reason.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        task: TrainingTask,
        runtime: TrainingRuntime,
    ) -> None:
        super().__init__(scope, construct_id)
        self._task = task
        self._runtime = runtime
        self._first = self._build_first_attempt()
        self._train = self._build_train()
        self._trained = self._build_trained()
        self._first.next(self._train).next(self._trained)
        self._train.add_catch(self._build_failure(), errors=["States.ALL"], result_path="$.error")

    @property
    def start_state(self) -> sfn.State:
        """The first state."""
        return self._first

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The states after which the machine goes on."""
        return [self._trained]

    def _build_first_attempt(self) -> sfn.Pass:
        return sfn.Pass(
            self,
            self._state("FirstAttempt"),
            parameters={**self._task.identity, "attempt": 1},
            result_path="$.job",
        )

    def _build_train(self) -> sfn.CustomState:
        train = sfn.CustomState(self, self._state("Train"), state_json=self._request_state())
        train.add_retry(
            errors=["SageMaker.AmazonSageMakerException", "SageMaker.ThrottlingException"],
            interval=cdk.Duration.seconds(10),
            max_attempts=5,
            backoff_rate=2,
            # Jobs that were throttled at once must not all come back at once.
            jitter_strategy=sfn.JitterType.FULL,
        )
        train.add_retry(
            errors=["SageMaker.ResourceLimitExceededException"],
            interval=self._capacity_wait,
            max_attempts=QUOTA_RETRIES,
            backoff_rate=QUOTA_BACKOFF,
        )
        return train

    def _build_trained(self) -> sfn.Pass:
        return sfn.Pass(
            self,
            self._state("Trained"),
            parameters={"job": {"name.$": "$.trained.name", "model.$": "$.job.model"}},
        )

    def _build_failure(self) -> sfn.IChainable:
        """Choose by the cause: train again if AWS was at fault, else fail with the reason.

        A job that ran leaves its description as the cause; a request that was refused, a sentence.
        """
        cause, reason = "$.error.Cause", "$.failed.description.FailureReason"
        refused = sfn.Fail(
            self,
            self._state("Refused"),
            error="TrainingJobRefused",
            cause_path=f"States.Format('{{}}: {{}}', $.job.model, {cause})",
        )
        stopped = sfn.Fail(
            self,
            self._state("Stopped"),
            error="TrainingJobStopped",
            cause_path="States.Format('{}: the training job was stopped', $.job.model)",
        )
        failed = sfn.Fail(
            self,
            self._state("Failed"),
            error="TrainingJobFailed",
            cause_path=f"States.Format('{{}}: {{}}', $.job.model, {reason})",
        )
        read = sfn.Pass(
            self,
            self._state("ReadFailure"),
            parameters={"description.$": f"States.StringToJson({cause})"},
            result_path="$.failed",
        )
        judge = (
            sfn.Choice(self, self._state("JudgeFailure"))
            .when(self._aws_was_at_fault(), self._again())
            .when(sfn.Condition.is_present(reason), failed)
            .otherwise(stopped)
        )
        return (
            sfn.Choice(self, self._state("HasRun"))
            .when(sfn.Condition.string_matches(cause, "{*"), read.next(judge))
            .otherwise(refused)
        )

    def _aws_was_at_fault(self) -> sfn.Condition:
        reason = "$.failed.description.FailureReason"
        matches = [sfn.Condition.string_matches(reason, pattern) for pattern in FAULTS_OF_AWS]
        return sfn.Condition.and_(
            sfn.Condition.number_less_than("$.job.attempt", ATTEMPTS),
            sfn.Condition.is_present(reason),
            sfn.Condition.or_(*matches),
        )

    def _again(self) -> sfn.IChainable:
        wait = sfn.Wait(
            self,
            self._state("Wait"),
            time=sfn.WaitTime.duration(self._capacity_wait),
        )
        count = sfn.Pass(
            self,
            self._state("NextAttempt"),
            parameters={
                "model.$": "$.job.model",
                "slug.$": "$.job.slug",
                "attempt.$": "States.MathAdd($.job.attempt, 1)",
            },
            result_path="$.job",
        )
        return wait.next(count).next(self._train)

    @property
    def _capacity_wait(self) -> cdk.Duration:
        return cdk.Duration.seconds(self._runtime.settings.capacity_wait_seconds)

    def _state(self, name: str) -> str:
        """Return a state's name, which must be the only one of its kind in the machine."""
        return f"{self._task.name.capitalize()}{name}"

    def _request_state(self) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": f"arn:{cdk.Aws.PARTITION}:states:::sagemaker:createTrainingJob.sync",
            "Parameters": self._request(),
            "ResultSelector": {"name.$": "$.TrainingJobName"},
            "ResultPath": "$.trained",
        }

    def _request(self) -> dict[str, Any]:
        runtime, settings = self._runtime, self._runtime.settings
        job_name = (
            "States.Format('{}-{}-{}-{}', $.job.slug, $.run, $.job.attempt, $$.State.RetryCount)"
        )
        request: dict[str, Any] = {
            "TrainingJobName.$": job_name,
            "RoleArn": self._task.role.role_arn,
            "AlgorithmSpecification": {
                "TrainingImage": runtime.image_uri,
                "TrainingInputMode": "File",
                **self._metrics(),
            },
            "HyperParameters": dict(self._task.hyperparameters),
            "InputDataConfig": [
                channel.to_state(name) for name, channel in self._task.channels.items()
            ],
            "OutputDataConfig": {
                "S3OutputPath.$": s3_uri(runtime.models_bucket, f"{runtime.output}{{}}/", "$.run"),
                "KmsKeyId": runtime.key.key_arn,
            },
            "ResourceConfig": {
                "InstanceType": self._task.instance_type,
                "InstanceCount": self._task.instance_count,
                "VolumeSizeInGB": settings.volume_gb,
                "VolumeKmsKeyId": runtime.key.key_arn,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_runtime_minutes * 60},
            "EnableNetworkIsolation": True,
            "EnableInterContainerTrafficEncryption": True,
        }
        if runtime.placement is not None:
            request["VpcConfig"] = {
                "Subnets": list(runtime.placement.subnets),
                "SecurityGroupIds": [runtime.placement.security_group],
            }
        return request

    def _metrics(self) -> dict[str, Any]:
        if self._task.metric is None:
            return {}
        name, pattern = validation_metric(self._task.metric)
        return {"MetricDefinitions": [{"Name": name, "Regex": pattern}]}
