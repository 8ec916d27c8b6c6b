"""What every stack shares: its name, its place, its names of resources and how it lets go."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from listening.resources import ResourceNames

if TYPE_CHECKING:
    from constructs import Construct

    from infra.settings import Settings

ALLOW_DATA_DELETION = "allow_data_deletion"
"""The context flag without which no stack deletes data, whatever its settings say."""


class BaseStack(cdk.Stack):
    """The stack of one concern in one environment, of one system or of all.

    The account is that of the credentials in use at deployment, so nothing needs a look-up.
    """

    def __init__(
        self, scope: Construct, concern: str, *, settings: Settings, system: str | None = None
    ) -> None:
        self.settings = settings
        self.names = ResourceNames(settings.environment, cdk.Aws.ACCOUNT_ID, settings.region)
        super().__init__(
            scope,
            self.names.of(system).stack(concern) if system else self.names.stack(concern),
            env=cdk.Environment(region=settings.region),
            description=f"listening, {settings.environment}: {concern}"
            + (f" of {system}" if system else ""),
            termination_protection=settings.termination_protection,
        )

    @property
    def removal_policy(self) -> cdk.RemovalPolicy:
        """What becomes of data with its stack: kept unless setting and flag both say otherwise."""
        allowed = str(self.node.try_get_context(ALLOW_DATA_DELETION)).lower() == "true"
        if allowed and self.settings.delete_data:
            return cdk.RemovalPolicy.DESTROY
        return cdk.RemovalPolicy.RETAIN

    @cached_property
    def data_bucket(self) -> s3.IBucket:
        """The data bucket by its name, so that no export ties the stacks together."""
        return s3.Bucket.from_bucket_name(self, "DataBucket", self.names.data_bucket)

    @cached_property
    def models_bucket(self) -> s3.IBucket:
        """The models bucket by its name."""
        return s3.Bucket.from_bucket_name(self, "ModelsBucket", self.names.models_bucket)

    def champion_arn(self, system: str) -> str:
        """Return the ARN of a system's champion parameter, which `resources` names."""
        return self.format_arn(
            service="ssm",
            resource="parameter",
            resource_name=self.names.of(system).champion_parameter.removeprefix("/"),
        )

    def log_group(self, construct_id: str, *, name: str, key: kms.IKey) -> logs.LogGroup:
        """Build an encrypted log group that keeps what the settings say."""
        group = logs.LogGroup(
            self,
            construct_id,
            log_group_name=name,
            encryption_key=key,
            removal_policy=self.removal_policy,
        )
        resource = cast("logs.CfnLogGroup", group.node.default_child)
        resource.retention_in_days = self.settings.log_retention_days
        return group
