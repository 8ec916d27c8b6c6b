"""Plays to features: the Glue jobs, the workflow that runs them in order, and what starts it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_cdk import aws_events as events
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets

from infra.base_stack import BaseStack
from infra.constructs.glue_job import GlueJob, GlueRuntime, JobDefinition
from infra.constructs.permissions import METRICS, RUNS, allow
from infra.constructs.placed_objects import PlacedObjects
from infra.constructs.workflow_start import WorkflowStart
from infra.settings import Settings, SettingsError
from listening.answer_profile import MEASURES
from listening.resources import (
    CAPTURES,
    DRIFT,
    EMBEDDINGS,
    ENDPOINT,
    FEATURES,
    NAMESPACE,
    PACKAGES,
    RAW,
    READY,
    REPORTS,
    SCORES,
)

if TYPE_CHECKING:
    from constructs import Construct

    from infra.data_stack import DataStack
    from infra.settings import DriftSettings

ROOT = Path(__file__).parents[1]
WHEELS = ROOT / "build" / "wheels"
PACKAGES_OF_THE_JOBS = ("listening", "glue_jobs")


class FeaturesStack(BaseStack):
    """Jobs `embeddings`, `splits`, `scoring` and `drift`; the workflow; event and schedule rules.

    Parameters
    ----------
    data
        The stack whose buckets and key the jobs use.
    wheels
        Folder of the wheels that Glue installs.
    """

    def __init__(
        self, scope: Construct, *, settings: Settings, data: DataStack, wheels: Path = WHEELS
    ) -> None:
        super().__init__(scope, "features", settings=settings)
        self._data = data
        self._data_uri = self.data_bucket.s3_url_for_object("")
        self.runtime = self._build_runtime(wheels)
        self.embeddings = self._build_embeddings()
        self.splits = self._build_splits()
        self.scoring = self._build_scoring()
        self.drift = self._build_drift(settings.drift) if settings.drift else None
        self.workflow = self._build_workflow()
        self._build_triggers()
        self.start = self._build_start()
        self._build_rules()

    def _build_runtime(self, wheels: Path) -> GlueRuntime:
        key_arn = self._data.key.key_arn
        security = glue.CfnSecurityConfiguration(
            self,
            "Security",
            name=f"{self.names.prefix}-glue",
            encryption_configuration=glue.CfnSecurityConfiguration.EncryptionConfigurationProperty(
                s3_encryptions=[
                    glue.CfnSecurityConfiguration.S3EncryptionProperty(
                        s3_encryption_mode="SSE-KMS", kms_key_arn=key_arn
                    )
                ],
                cloud_watch_encryption=glue.CfnSecurityConfiguration.CloudWatchEncryptionProperty(
                    cloud_watch_encryption_mode="SSE-KMS", kms_key_arn=key_arn
                ),
                job_bookmarks_encryption=(
                    glue.CfnSecurityConfiguration.JobBookmarksEncryptionProperty(
                        job_bookmarks_encryption_mode="CSE-KMS", kms_key_arn=key_arn
                    )
                ),
            ),
        )
        return GlueRuntime(
            settings=self.settings.features,
            bucket=self.data_bucket,
            key=self._data.key,
            security_configuration=security.ref,
            packages=self._build_packages(),
            wheels=self._place_wheels(wheels) if self.settings.wheels else (),
        )

    def _build_packages(self) -> assets.Asset:
        """Stage the packages under one root; the CDK command line zips it when it deploys."""
        with tempfile.TemporaryDirectory() as root:
            for package in PACKAGES_OF_THE_JOBS:
                shutil.copytree(
                    ROOT / package,
                    Path(root) / package,
                    ignore=shutil.ignore_patterns("__pycache__", "cli"),
                )
            return assets.Asset(self, "Packages", path=root)

    def _place_wheels(self, folder: Path) -> list[str]:
        """Put the wheels where Glue finds them under the names that pip needs.

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
        self._wheels = PlacedObjects(
            self,
            "Wheels",
            bucket=self.data_bucket,
            key=self._data.key,
            files=files,
        )
        return [self.data_bucket.s3_url_for_object(key) for key in files]

    def _build_embeddings(self) -> GlueJob:
        return self._job(
            "Embeddings",
            JobDefinition(
                name=self.names.embeddings_job,
                script=ROOT / "glue_jobs" / "country" / "embeddings.py",
                reads=[RAW],
                writes=[EMBEDDINGS],
                arguments=self._feature_arguments(),
            ),
        )

    def _build_splits(self) -> GlueJob:
        return self._job(
            "Splits",
            JobDefinition(
                name=self.names.splits_job,
                script=ROOT / "glue_jobs" / "country" / "features.py",
                reads=[EMBEDDINGS],
                writes=[FEATURES],
                arguments=self._feature_arguments(),
            ),
        )

    def _feature_arguments(self) -> dict[str, str]:
        return {"--data_uri": self._data_uri, **self.settings.features.quality.arguments()}

    def _build_scoring(self) -> GlueJob:
        scoring = self._job(
            "Scoring",
            JobDefinition(
                name=self.names.scoring_job,
                script=ROOT / "glue_jobs" / "country" / "scoring.py",
                reads=[RAW],
                writes=[SCORES],
                arguments={
                    "--data_uri": self._data_uri,
                    "--endpoint_uri": self.models_bucket.s3_url_for_object(ENDPOINT),
                    "--champion_parameter": self.names.champion_parameter,
                },
            ),
        )
        self._allow_models(scoring, ENDPOINT)
        allow(scoring.role, ["ssm:GetParameter"], [self.champion_arn])
        return scoring

    def _build_drift(self, settings: DriftSettings) -> GlueJob:
        limits = {f"--max_{m}": str(getattr(settings, f"max_{m}")) for m in MEASURES}
        drift = self._job(
            "Drift",
            JobDefinition(
                name=self.names.drift_job,
                script=ROOT / "glue_jobs" / "drift.py",
                reads=[],
                writes=[DRIFT],
                arguments={
                    "--data_uri": self._data_uri,
                    "--captures_uri": self.models_bucket.s3_url_for_object(CAPTURES),
                    "--reports_uri": self.models_bucket.s3_url_for_object(REPORTS),
                    "--champion_parameter": self.names.champion_parameter,
                    "--environment": self.settings.environment,
                    "--days": str(settings.days),
                    "--least_listeners": str(settings.least_listeners),
                    **limits,
                },
            ),
        )
        self._allow_models(drift, CAPTURES, REPORTS)
        allow(drift.role, ["ssm:GetParameter"], [self.champion_arn])
        allow(
            drift.role,
            ["cloudwatch:PutMetricData"],
            ["*"],
            because=METRICS,
            conditions={"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
        )
        self._trigger(
            "DriftOnSchedule",
            "SCHEDULED",
            drift,
            schedule=settings.schedule,
            start_on_creation=True,
        )
        return drift

    def _allow_models(self, job: GlueJob, *prefixes: str) -> None:
        """Let a job read prefixes of the models bucket."""
        objects = [self.models_bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes]
        allow(job.role, ["s3:GetObject"], objects, because=RUNS)
        allow(
            job.role,
            ["s3:ListBucket"],
            [self.models_bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        )

    def _build_workflow(self) -> glue.CfnWorkflow:
        return glue.CfnWorkflow(
            self,
            "Workflow",
            name=self.names.workflow,
            description="Plays to embeddings to features",
            max_concurrent_runs=1,
        )

    def _build_triggers(self) -> None:
        start = self._trigger("Start", "EVENT", self.embeddings, in_workflow=True)
        succeeded = glue.CfnTrigger.PredicateProperty(
            conditions=[
                glue.CfnTrigger.ConditionProperty(
                    job_name=self.embeddings.name, logical_operator="EQUALS", state="SUCCEEDED"
                )
            ]
        )
        then = self._trigger(
            "Then",
            "CONDITIONAL",
            self.splits,
            in_workflow=True,
            predicate=succeeded,
            start_on_creation=True,
        )
        then.add_resource_dependency(self.embeddings.job)
        # Glue refuses two triggers that are added to one workflow at the same moment.
        then.add_resource_dependency(start)
        self._trigger("EmbeddingsAlone", "ON_DEMAND", self.embeddings)
        self._trigger("SplitsAlone", "ON_DEMAND", self.splits)

    def _build_start(self) -> WorkflowStart:
        workflow_arn = self.format_arn(
            service="glue", resource="workflow", resource_name=self.names.workflow
        )
        return WorkflowStart(self, "WorkflowStart", workflow_arn=workflow_arn, key=self._data.key)

    def _build_rules(self) -> None:
        role = iam.Role(self, "StartRole", assumed_by=iam.ServicePrincipal("events.amazonaws.com"))
        machine_arn = self.start.state_machine.state_machine_arn
        allow(role, ["states:StartExecution"], [machine_arn])
        target = events.CfnRule.TargetProperty(id="start", arn=machine_arn, role_arn=role.role_arn)
        events.CfnRule(
            self,
            "RawIsReady",
            name=f"{self.names.prefix}-raw-ready",
            description=f"{RAW}<batch>/{READY} has arrived: start the feature workflow",
            event_pattern={
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": [self.data_bucket.bucket_name]},
                    "object": {"key": [{"wildcard": f"{RAW}*/{READY}"}]},
                },
            },
            targets=[target],
        )
        if self.settings.features.schedule:
            events.CfnRule(
                self,
                "Schedule",
                name=f"{self.names.prefix}-schedule",
                description="Start the feature workflow",
                schedule_expression=self.settings.features.schedule,
                targets=[target],
            )

        if self.settings.drift and self.settings.drift.retrain:
            events.CfnRule(
                self,
                "Drifted",
                name=f"{self.names.prefix}-drifted",
                description="Listeners have changed: start the feature workflow, then train",
                event_pattern={
                    "source": ["aws.cloudwatch"],
                    "detail-type": ["CloudWatch Alarm State Change"],
                    "detail": {
                        "alarmName": [self.names.drift_alarm],
                        "state": {"value": ["ALARM"]},
                    },
                },
                targets=[target],
            )

    def _job(self, construct_id: str, definition: JobDefinition) -> GlueJob:
        job = GlueJob(self, construct_id, definition=definition, runtime=self.runtime)
        if self.settings.wheels:
            job.job.node.add_dependency(self._wheels)
        return job

    def _trigger(
        self,
        construct_id: str,
        kind: str,
        job: GlueJob,
        *,
        in_workflow: bool = False,
        **options: Any,
    ) -> glue.CfnTrigger:
        suffix = "".join(f"-{c.lower()}" if c.isupper() else c for c in construct_id)
        trigger = glue.CfnTrigger(
            self,
            construct_id,
            name=f"{self.names.workflow}{suffix}",
            type=kind,
            workflow_name=self.workflow.ref if in_workflow else None,
            actions=[glue.CfnTrigger.ActionProperty(job_name=job.name)],
            **options,
        )
        trigger.add_resource_dependency(job.job)
        return trigger
