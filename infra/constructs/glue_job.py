"""A Glue job whose role reaches its own prefixes and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.constructs.permissions import METRICS, RUNS, allow, allow_key
from listening.resources import PACKAGES, SPARK_UI, TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from infra.settings import GlueSettings

GLUE_VERSION = "5.1"
"""Spark 3.5.6, Python 3.11, Java 17."""


@dataclass(frozen=True)
class GlueRuntime:
    """What all Glue jobs of a system run on.

    Parameters
    ----------
    settings
        Workers, timeout and retries.
    bucket
        Holds temporary files and Spark's event logs, beside the data.
    key
        Encrypts what the jobs write.
    security_configuration
        Name of the configuration that tells Glue so.
    packages
        The zip of the project's packages that the jobs import.
    wheels
        S3 URIs of the wheels that Glue installs; empty where its machine has them already.
    """

    settings: GlueSettings
    bucket: s3.IBucket
    key: kms.IKey
    security_configuration: str
    packages: assets.Asset
    wheels: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class JobDefinition:
    """What one Glue job is.

    Parameters
    ----------
    name
        The job's name.
    script
        The file that Glue runs.
    reads, writes
        Prefixes of the data bucket.
    arguments
        The script's own default arguments.
    """

    name: str
    script: Path
    reads: Sequence[str]
    writes: Sequence[str]
    arguments: Mapping[str, str]


class GlueJob(Construct):
    """Script, role and job."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        definition: JobDefinition,
        runtime: GlueRuntime,
    ) -> None:
        super().__init__(scope, construct_id)
        self.name = definition.name
        self._definition = definition
        self._runtime = runtime
        self._script = assets.Asset(self, "Script", path=str(definition.script))
        self.role = self._build_role()
        self.job = self._build_job()

    def _build_role(self) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
        bucket, packages = self._runtime.bucket, self._runtime.packages
        wheels = [PACKAGES] if self._runtime.wheels else []
        # Spark asks for a folder by its name alone, and may mark it by an object <folder>_$folder$.
        reads = [p.rstrip("/") for p in (*self._definition.reads, *wheels)]
        writes = [p.rstrip("/") for p in (*self._definition.writes, TEMPORARY, SPARK_UI)]
        code = [a.bucket.arn_for_objects(a.s3_object_key) for a in (self._script, packages)]
        allow(role, ["s3:GetObject"], code)
        self._allow_markers(role, {p.partition("/")[0] for p in writes if "/" in p})
        allow(
            role,
            ["s3:GetObject"],
            [bucket.arn_for_objects(f"{p}*") for p in reads],
            because=RUNS,
        )
        allow(
            role,
            ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            [bucket.arn_for_objects(f"{p}*") for p in writes],
            because=RUNS,
        )
        allow(
            role,
            ["s3:ListBucket"],
            [bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": [f"{p}*" for p in (*reads, *writes)]}},
        )
        allow_key(role, self._runtime.key)
        self._allow_logs(role)
        return role

    def _allow_markers(self, role: iam.Role, folders: set[str]) -> None:
        """Let Spark look for the folders that its output lies in, and mark them too."""
        bucket = self._runtime.bucket
        for folder in sorted(folders):
            markers = [
                bucket.arn_for_objects(name) for name in (f"{folder}_$folder$", f"{folder}/")
            ]
            allow(role, ["s3:GetObject"], [bucket.arn_for_objects(folder)])
            allow(role, ["s3:GetObject", "s3:PutObject"], markers)
            allow(
                role,
                ["s3:ListBucket"],
                [bucket.bucket_arn],
                conditions={"StringEquals": {"s3:prefix": [folder, f"{folder}/"]}},
            )

    def _allow_logs(self, role: iam.Role) -> None:
        groups = cdk.Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name="/aws-glue/*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        allow(
            role,
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
            + ["logs:AssociateKmsKey"],
            [groups],
            because="Glue names the log groups of a security configuration",
        )
        allow(
            role,
            ["cloudwatch:PutMetricData"],
            ["*"],
            because=METRICS,
            conditions={"StringEquals": {"cloudwatch:namespace": "Glue"}},
        )
        # Glue looks at its own security configuration when the job starts.
        allow(
            role,
            ["glue:GetSecurityConfiguration"],
            ["*"],
            because="security configurations have no ARN",
        )

    def _build_job(self) -> glue.CfnJob:
        settings = self._runtime.settings
        return glue.CfnJob(
            self,
            "Job",
            name=self.name,
            role=self.role.role_arn,
            glue_version=GLUE_VERSION,
            command=glue.CfnJob.JobCommandProperty(
                name="glueetl",
                python_version="3",
                script_location=self._script.s3_object_url,
            ),
            worker_type=settings.worker_type,
            number_of_workers=settings.max_workers,
            timeout=settings.timeout_minutes,
            max_retries=settings.max_retries,
            execution_property=glue.CfnJob.ExecutionPropertyProperty(max_concurrent_runs=1),
            security_configuration=self._runtime.security_configuration,
            default_arguments=self._glue_arguments() | dict(self._definition.arguments),
        )

    def _glue_arguments(self) -> dict[str, str]:
        bucket = self._runtime.bucket
        arguments = {
            "--job-language": "python",
            "--job-bookmark-option": "job-bookmark-disable",
            "--TempDir": bucket.s3_url_for_object(TEMPORARY),
            "--extra-py-files": self._runtime.packages.s3_object_url,
            "--enable-auto-scaling": "true",
            "--enable-continuous-cloudwatch-log": "true",
            "--enable-continuous-log-filter": "true",
            "--enable-metrics": "true",
            "--enable-observability-metrics": "true",
            "--enable-job-insights": "true",
            "--enable-spark-ui": "true",
            "--spark-event-logs-path": bucket.s3_url_for_object(SPARK_UI),
        }
        if self._runtime.wheels:
            arguments["--additional-python-modules"] = ",".join(self._runtime.wheels)
            arguments["--python-modules-installer-option"] = "--no-index --no-deps"
        return arguments
