"""Calls of AWS APIs from a state machine, made again when the service was at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

if TYPE_CHECKING:
    from constructs import Construct

_EXCEPTIONS = {
    "s3": "S3.S3Exception",
    "ssm": "Ssm.SsmException",
    "sagemaker": "SageMaker.SageMakerException",
    "sns": "Sns.SnsException",
    "sfn": "Sfn.SfnException",
    "glue": "Glue.GlueException",
}
"""What Step Functions calls a failure of a service that has no name of its own."""


def service_call(scope: Construct, construct_id: str, **request: Any) -> tasks.CallAwsService:
    """Return a state that calls an AWS API, by the properties of CDK's own state."""
    call = tasks.CallAwsService(scope, construct_id, **request)
    call.add_retry(
        errors=[_EXCEPTIONS[request["service"]]],
        interval=cdk.Duration.seconds(2),
        max_attempts=6,
        backoff_rate=2,
        jitter_strategy=sfn.JitterType.FULL,
    )
    return call


def list_running(
    scope: Construct, construct_id: str, *, arn: str, most: int, **result: Any
) -> tasks.CallAwsService:
    """Return a state that lists the running executions of its own state machine, newest first.

    Parameters
    ----------
    arn
        The state machine's, spelled out: its role cannot name what depends on the role.
    most
        How many to list at most.
    result
        Which part of the answer goes where: ``result_selector`` and ``result_path``.
    """
    return service_call(
        scope,
        construct_id,
        service="sfn",
        action="listExecutions",
        parameters={
            "StateMachineArn": sfn.JsonPath.state_machine_id,
            "StatusFilter": "RUNNING",
            "MaxResults": most,
        },
        iam_action="states:ListExecutions",
        iam_resources=[arn],
        **result,
    )
