"""A system's log to features: its Glue jobs, the workflow of some, and what starts it."""

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
from infra.constructs.workflow_start import WorkflowStart
from listening.log.raw_formats import places_of
from listening.resources import CAPTURES, ENDPOINT, NAMESPACE, RAW, READY, REPORTS, ready_for

if TYPE_CHECKING:
    from constructs import Construct

    from infra.data_stack import DataStack
    from infra.settings import Settings
    from listening.systems import Job, System

ROOT = Path(__file__).parents[1]
SHIPPED = ("listening", "glue_jobs")
"""The packages that every Glue job gets."""


class FeaturesStack(BaseStack):
    """The Glue jobs of a system's entry; the workflow; event and schedule rules.

    Parameters
    ----------
    data
        The stack whose buckets, key and wheels the jobs use.
    system
        Whose.
    """

    def __init__(
        self, scope: Construct, *, settings: Settings, data: DataStack, system: System
    ) -> None:
        super().__init__(scope, "features", settings=settings, system=system.name)
        self._data = data
        self._system = system
        self._own = settings.deployed[system.name]
        self._named = self.names.of(system.name)
        self.runtime = self._build_runtime()
        self.jobs = {job.name: self._build_job(job) for job in system.jobs if self._runs(job)}
        self.workflow = self._build_workflow()
        self._build_triggers()
        self.start = self._build_start()
        self._build_rules()

    def _runs(self, job: Job) -> bool:
        """Tell whether the settings let a job run; what has a schedule needs theirs."""
        return job.starts != "schedule" or self._own.drift is not None

    def _build_runtime(self) -> GlueRuntime:
        key_arn = self._data.key.key_arn
        security = glue.CfnSecurityConfiguration(
            self,
            "Security",
            name=f"{self._named.prefix}-glue",
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
            settings=self._own.glue,
            bucket=self.data_bucket,
            key=self._data.key,
            security_configuration=security.ref,
            packages=self._build_packages(),
            wheels=self._data.wheels,
        )

    def _build_packages(self) -> assets.Asset:
        """Stage the packages under one root; the CDK command line zips it when it deploys."""
        with tempfile.TemporaryDirectory() as root:
            for package in SHIPPED:
                shutil.copytree(
                    ROOT / package,
                    Path(root) / package,
                    ignore=shutil.ignore_patterns("__pycache__"),
                )
            return assets.Asset(self, "Packages", path=root)

    def _build_job(self, job: Job) -> GlueJob:
        system = self._system
        data = {"raw": RAW} | {other.name: system.output(other.name) for other in system.jobs}
        models = {
            "endpoint": f"{ENDPOINT}{system.name}/",
            "captures": CAPTURES,
            "reports": f"{REPORTS}{system.name}/",
        }
        beside = [models[read] for read in job.reads if read in models]
        built = GlueJob(
            self,
            job.name.capitalize(),
            definition=JobDefinition(
                name=self._named.job(job.name),
                script=ROOT / "glue_jobs" / system.script(job),
                reads=[data[read] for read in job.reads if read in data],
                writes=[system.output(job.name)],
                arguments={
                    "--data_uri": self.data_bucket.s3_url_for_object(""),
                    **(self._champion_arguments() if beside else {}),
                    **self._own.job_arguments(job.name),
                },
            ),
            runtime=self.runtime,
        )
        if beside:
            self._allow_models(built, *beside)
            allow(built.role, ["ssm:GetParameter"], [self.champion_arn(system.name)])
        if job.starts == "schedule":
            self._watch(built)
        return built

    def _champion_arguments(self) -> dict[str, str]:
        """Return what a job needs that looks at the champion, or at what it answered."""
        return {
            "--models_uri": self.models_bucket.s3_url_for_object(""),
            "--champion_parameter": self._named.champion_parameter,
            "--environment": self.settings.environment,
        }

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

    def _watch(self, job: GlueJob) -> None:
        """Run a job on the schedule of the settings, and let it send metrics."""
        allow(
            job.role,
            ["cloudwatch:PutMetricData"],
            ["*"],
            because=METRICS,
            conditions={"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
        )
        assert self._own.drift is not None
        self._trigger(
            "OnSchedule",
            "SCHEDULED",
            job,
            schedule=self._own.drift.schedule,
            start_on_creation=True,
        )

    def _build_workflow(self) -> glue.CfnWorkflow:
        return glue.CfnWorkflow(
            self,
            "Workflow",
            name=self._named.workflow,
            description=" to ".join(["The log", *(job.name for job in self._system.workflow)]),
            max_concurrent_runs=1,
        )

    def _build_triggers(self) -> None:
        first, *following = (self.jobs[job.name] for job in self._system.workflow)
        before = first
        trigger = self._trigger("Start", "EVENT", first, in_workflow=True)
        for number, job in enumerate(following):
            succeeded = glue.CfnTrigger.PredicateProperty(
                conditions=[
                    glue.CfnTrigger.ConditionProperty(
                        job_name=before.name, logical_operator="EQUALS", state="SUCCEEDED"
                    )
                ]
            )
            then = self._trigger(
                f"Then{number or ''}",
                "CONDITIONAL",
                job,
                in_workflow=True,
                predicate=succeeded,
                start_on_creation=True,
            )
            then.add_resource_dependency(before.job)
            # Glue refuses two triggers that are added to one workflow at the same moment.
            then.add_resource_dependency(trigger)
            before, trigger = job, then
        for entry in self._system.workflow:
            self._trigger(f"{entry.name.capitalize()}Alone", "ON_DEMAND", self.jobs[entry.name])

    def _build_start(self) -> WorkflowStart:
        return WorkflowStart(
            self,
            "WorkflowStart",
            names=self._named,
            settings=self._own.glue,
            jobs=len(self._system.workflow),
            needs={table: places_of(table) for table in self._system.needs},
            bucket=self.data_bucket,
            key=self._data.key,
        )

    def _build_rules(self) -> None:
        role = iam.Role(self, "StartRole", assumed_by=iam.ServicePrincipal("events.amazonaws.com"))
        machine_arn = self.start.state_machine.state_machine_arn
        allow(role, ["states:StartExecution"], [machine_arn])
        target = events.CfnRule.TargetProperty(id="start", arn=machine_arn, role_arn=role.role_arn)
        events.CfnRule(
            self,
            "RawIsReady",
            name=f"{self._named.prefix}-raw-ready",
            description=f"{RAW}<batch>/{READY} has arrived: start the workflow",
            event_pattern={
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": [self.data_bucket.bucket_name]},
                    "object": {
                        "key": [
                            {"wildcard": f"{RAW}*/{mark}"}
                            for mark in (READY, ready_for(self._system.name))
                        ]
                    },
                },
            },
            targets=[target],
        )
        if self._own.schedule:
            events.CfnRule(
                self,
                "Schedule",
                name=f"{self._named.prefix}-schedule",
                description="Start the workflow",
                schedule_expression=self._own.schedule,
                targets=[target],
            )
        if self._own.drift and self._own.drift.retrain:
            events.CfnRule(
                self,
                "Drifted",
                name=f"{self._named.prefix}-drifted",
                description="Listeners have changed: start the workflow, then train",
                event_pattern={
                    "source": ["aws.cloudwatch"],
                    "detail-type": ["CloudWatch Alarm State Change"],
                    "detail": {
                        "alarmName": [self._named.drift_alarm],
                        "state": {"value": ["ALARM"]},
                    },
                },
                targets=[target],
            )

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
            name=f"{self._named.prefix}{suffix}",
            type=kind,
            workflow_name=self.workflow.ref if in_workflow else None,
            actions=[glue.CfnTrigger.ActionProperty(job_name=job.name)],
            **options,
        )
        trigger.add_resource_dependency(job.job)
        return trigger
