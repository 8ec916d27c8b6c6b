"""Permissions of roles: none reaches further than its resources without saying why.

cdk-nag reports every wildcard; here it is acknowledged where it is granted, with its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_kms as kms
    from constructs import IConstruct

RUNS = "the runs and bundle versions under a prefix are not known before they exist"
"""Why a role reaches all objects under a prefix."""
METRICS = "metrics have no resources: the namespace is the limit"
"""Why who may write metrics may write them anywhere within a namespace."""
TRACING = "X-Ray's write actions have no resources"
"""Why a traced function or state machine may write to all of X-Ray."""


def allow(
    role: iam.Role,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    because: str | None = None,
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Let a role do something.

    Parameters
    ----------
    role
        Who.
    actions
        IAM actions.
    resources
        ARNs.
    because
        Why a resource has a wildcard; needed where one has.
    conditions
        IAM conditions.

    Raises
    ------
    ValueError
        A resource has a wildcard and no reason is given.
    """
    role.add_to_policy(
        iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions)
    )
    open_resources = [resource for resource in resources if "*" in _text(role, resource)]
    if open_resources and because is None:
        raise ValueError(f"{role.node.path}: say why {open_resources} need a wildcard")
    for resource in open_resources:
        acknowledge_wildcard(role, resource, because=str(because))


def allow_key(role: iam.Role, key: kms.IKey) -> None:
    """Let a role read and write what the key encrypts."""
    allow(role, ["kms:Decrypt", "kms:GenerateDataKey"], [key.key_arn])


def acknowledge_wildcard(role: iam.IRole, resource: str, *, because: str) -> None:
    """Acknowledge cdk-nag's finding on one resource with a wildcard, by its exact id."""
    finding = f"AwsSolutions::AwsSolutions-IAM5[Resource::{_text(role, resource)}]"
    cdk.Validations.of(role).acknowledge(cdk.Acknowledgment(id=finding, reason=because))


def _text(construct: IConstruct, token: str) -> str:
    """Return an ARN as cdk-nag writes it, with its tokens in angle brackets."""

    def write(part: Any) -> str:
        match part:
            case {"Fn::Join": [separator, parts]}:
                return str(separator).join(map(write, parts))
            case {"Ref": name}:
                return f"<{name}>"
            case {"Fn::GetAtt": [name, attribute]}:
                return f"<{name}.{attribute}>"
            case _:
                return str(part)

    return write(cdk.Stack.of(construct).resolve(token))
