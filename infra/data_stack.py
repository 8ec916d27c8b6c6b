"""What every other stack stands on: the key, the buckets, the topic of notices, the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions

from infra.base_stack import BaseStack
from infra.constructs.catalog import Catalog
from infra.constructs.placed_objects import PlacedObjects
from infra.settings import Settings, SettingsError
from listening.resources import CAPTURES, PACKAGES, SPARK_UI, TEMPORARY
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from constructs import Construct

ROOT = Path(__file__).parents[1]
WHEELS = ROOT / "build" / "wheels"

PUBLISHERS = ("cloudwatch", "budgets")
"""The services that send notices to the encrypted topic; EventBridge takes a role of ours."""


class DataStack(BaseStack):
    """Key, access-log bucket, data bucket, models bucket, wheels, topic of notices, tables.

    Parameters
    ----------
    wheels
        Folder of the wheels that Glue installs.
    """

    def __init__(self, scope: Construct, *, settings: Settings, wheels: Path = WHEELS) -> None:
        super().__init__(scope, "data", settings=settings)
        self.key = self._build_key()
        self.access_logs = self._build_access_logs()
        self.data_bucket = self._build_data_bucket()
        self.models_bucket = self._build_models_bucket()
        self.wheels = self._place_wheels(wheels) if settings.wheels else []
        self.notices = self._build_notices()
        self.catalog = self._build_catalog()

    def _build_key(self) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            alias=f"alias/{self.names.prefix}",
            description=f"Everything that {self.names.prefix} stores",
            enable_key_rotation=True,
            removal_policy=self.removal_policy,
        )
        logs = iam.ServicePrincipal(
            f"logs.{self.region}.amazonaws.com",
            conditions={
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": self.format_arn(
                        service="logs", resource="*"
                    )
                }
            },
        )
        key.grant_encrypt_decrypt(logs)
        key.grant(logs, "kms:DescribeKey")
        for service in PUBLISHERS:
            key.grant_encrypt_decrypt(self._publisher(service))
        return key

    def _build_access_logs(self) -> s3.Bucket:
        """Build the bucket that records who read the others; S3 delivers with its own key only."""
        return self._bucket(
            "AccessLogs",
            name=f"{self.names.prefix}-logs-{self.account}-{self.region}",
            encryption=s3.BucketEncryption.S3_MANAGED,
            lifecycle_rules=[
                s3.LifecycleRule(expiration=cdk.Duration.days(self.settings.log_retention_days))
            ],
        )

    def _build_data_bucket(self) -> s3.Bucket:
        bucket = self._keyed_bucket("Data", self.names.data_bucket, transient=(TEMPORARY, SPARK_UI))
        resource = cast("s3.CfnBucket", bucket.node.default_child)
        # The L2 property brings a Lambda of its own that does what this one line does.
        resource.add_property_override(
            "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True
        )
        return bucket

    def _build_models_bucket(self) -> s3.Bucket:
        return self._keyed_bucket("Models", self.names.models_bucket, transient=(CAPTURES,))

    def _place_wheels(self, folder: Path) -> list[str]:
        """Put the wheels where Glue finds them under the names that pip needs; return their URIs.

        Raises
        ------
        SettingsError
            The folder has no wheels.
        """
        files = {f"{PACKAGES}{wheel.name}": wheel for wheel in sorted(folder.glob("*.whl"))}
        if not files:
            raise SettingsError(
                f"{folder} holds no wheels for the Glue jobs: run `make wheels` once, or set "
                f"wheels = false for [{self.settings.environment}] in environments.toml"
            )
        placed = PlacedObjects(self, "Wheels", bucket=self.data_bucket, key=self.key, files=files)
        placed.node.add_dependency(self.data_bucket)
        return [self.data_bucket.s3_url_for_object(key) for key in files]

    def _build_notices(self) -> sns.Topic:
        topic = sns.Topic(
            self,
            "Notices",
            topic_name=f"{self.names.prefix}-notices",
            master_key=self.key,
            enforce_ssl=True,
        )
        for service in PUBLISHERS:
            topic.grant_publish(self._publisher(service))
        if self.settings.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(self.settings.alarm_email))
        return topic

    def _build_catalog(self) -> Catalog:
        return Catalog(
            self,
            "Catalog",
            name=self.names.prefix.replace("-", "_"),
            systems=[SYSTEMS[name] for name in self.settings.deployed],
            data_bucket=self.data_bucket,
            models_bucket=self.models_bucket,
        )

    def _publisher(self, service: str) -> iam.IPrincipal:
        return iam.ServicePrincipal(
            f"{service}.amazonaws.com",
            conditions={"StringEquals": {"aws:SourceAccount": self.account}},
        )

    def _keyed_bucket(
        self, construct_id: str, name: str, *, transient: tuple[str, ...]
    ) -> s3.Bucket:
        """Build a bucket under the project's key whose reads are logged.

        Parameters
        ----------
        transient
            Prefixes whose objects are deleted after the log retention.
        """
        kept = cdk.Duration.days(self.settings.old_version_days)
        return self._bucket(
            construct_id,
            name=name,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            server_access_logs_bucket=self.access_logs,
            server_access_logs_prefix=f"{construct_id.lower()}/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="tiering-and-old-versions",
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                    noncurrent_version_expiration=kept,
                    transitions=[
                        s3.Transition(
                            storage_class=s3.StorageClass.INTELLIGENT_TIERING,
                            transition_after=cdk.Duration.days(30),
                        )
                    ],
                ),
                *(
                    s3.LifecycleRule(
                        id=prefix.strip("/"),
                        prefix=prefix,
                        expiration=cdk.Duration.days(self.settings.log_retention_days),
                    )
                    for prefix in transient
                ),
            ],
        )

    def _bucket(self, construct_id: str, *, name: str, **properties: Any) -> s3.Bucket:
        return s3.Bucket(
            self,
            construct_id,
            bucket_name=name,
            versioned=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=self.removal_policy,
            auto_delete_objects=self.removal_policy == cdk.RemovalPolicy.DESTROY,
            **properties,
        )
