"""The role of a SageMaker training job or endpoint: image, logs, metrics, its prefixes, its VPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra.constructs.permissions import RUNS, allow, allow_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3 as s3
    from constructs import Construct

    from infra.constructs.container_image import ContainerImage


@dataclass(frozen=True)
class Placement:
    """Where jobs and endpoint run in a VPC: ids of the subnets and of the security group."""

    subnets: tuple[str, ...]
    security_group: str


@dataclass(frozen=True)
class Prefixes:
    """What a role reads and writes in a bucket."""

    bucket: s3.IBucket
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a role reaches.

    Parameters
    ----------
    prefixes
        By bucket.
    log_groups
        What it may log to: what follows ``/aws/sagemaker/`` in the groups' names.
    placement
        Where it may attach network interfaces; nowhere if None.
    """

    prefixes: Sequence[Prefixes]
    log_groups: str
    placement: Placement | None


class SageMakerRole(iam.Role):
    """A role for SageMaker that reaches given prefixes and nothing else.

    Parameters
    ----------
    image
        What it may pull.
    key
        What it may encrypt and decrypt with, volumes included.
    access
        What it reaches.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        image: ContainerImage,
        key: kms.IKey,
        access: Access,
    ) -> None:
        super().__init__(
            scope, construct_id, assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com")
        )
        image.grant_pull(self)
        self._allow_encryption(key)
        for prefixes in access.prefixes:
            self._allow_objects(prefixes)
        self._allow_logs(access.log_groups)
        if access.placement is not None:
            self._allow_interfaces(access.placement)

    def _allow_encryption(self, key: kms.IKey) -> None:
        allow_key(self, key)
        allow(self, ["kms:Encrypt", "kms:DescribeKey"], [key.key_arn])
        allow(
            self,
            ["kms:CreateGrant"],
            [key.key_arn],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        )

    def _allow_objects(self, prefixes: Prefixes) -> None:
        bucket, reads, writes = prefixes.bucket, prefixes.reads, prefixes.writes
        for actions, some in ((["s3:GetObject"], reads), (["s3:PutObject"], writes)):
            if some:
                objects = [bucket.arn_for_objects(f"{prefix}*") for prefix in some]
                allow(self, actions, objects, because=RUNS)
        listed = [f"{prefix}*" for prefix in dict.fromkeys((*reads, *writes))]
        allow(
            self,
            ["s3:ListBucket"],
            [bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": listed}},
        )

    def _allow_logs(self, log_groups: str) -> None:
        groups = cdk.Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"/aws/sagemaker/{log_groups}*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        allow(
            self,
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams"]
            + ["logs:PutLogEvents"],
            [groups],
            because="SageMaker names the streams of a log group",
        )
        allow(
            self,
            ["cloudwatch:PutMetricData"],
            ["*"],
            because="metrics have no resources: the namespace is the limit",
            conditions={"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        )

    def _allow_interfaces(self, placement: Placement) -> None:
        stack = cdk.Stack.of(self)

        def arn(kind: str, name: str) -> str:
            return stack.format_arn(service="ec2", resource=kind, resource_name=name)

        allow(
            self,
            ["ec2:CreateNetworkInterface"],
            [
                *(arn("subnet", subnet) for subnet in placement.subnets),
                arn("security-group", placement.security_group),
            ],
        )
        allow(
            self,
            ["ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission"]
            + ["ec2:DeleteNetworkInterface", "ec2:DeleteNetworkInterfacePermission"],
            [arn("network-interface", "*")],
            because="SageMaker creates the interfaces of a job when it starts",
        )
        allow(
            self,
            ["ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs", "ec2:DescribeDhcpOptions"]
            + ["ec2:DescribeSubnets", "ec2:DescribeSecurityGroups"],
            ["*"],
            because="EC2's Describe actions have no resources",
        )
