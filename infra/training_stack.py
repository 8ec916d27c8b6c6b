"""A system's features to a published bundle: the machine that trains, judges and publishes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_stepfunctions as sfn

from infra.base_stack import BaseStack
from infra.constructs.container_image import ContainerImage
from infra.constructs.permissions import RUNS, TRACING, acknowledge_wildcard, allow, allow_key
from infra.constructs.python_function import Handler, PythonFunction
from infra.constructs.sagemaker_role import Access, Prefixes, SageMakerRole
from infra.constructs.training_job import TrainingRuntime, longest_seconds
from infra.constructs.training_states import TrainingParts, TrainingStates
from listening.resources import ENDPOINT, EVALUATIONS, MANIFEST, REPORTS, TRAINING

if TYPE_CHECKING:
    from constructs import Construct

    from infra.constructs.sagemaker_role import Placement
    from infra.data_stack import DataStack
    from infra.settings import Settings
    from listening.systems import System


class TrainingStack(BaseStack):
    """Roles of the jobs, evaluation Lambda, model package group, state machine, its rule.

    Parameters
    ----------
    data
        Buckets, key and topic.
    placement
        Where the jobs run, if in a VPC.
    system
        Whose.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        data: DataStack,
        placement: Placement | None,
        system: System,
    ) -> None:
        super().__init__(scope, "training", settings=settings, system=system.name)
        self._data = data
        self._placement = placement
        self._system = system
        self._own = settings.deployed[system.name]
        self._named = self.names.of(system.name)
        self.image = ContainerImage(self, "Image", settings=settings)
        self.assemble_role = self._build_assemble_role()
        self.train_role = self._build_train_role()
        self.evaluation = self._build_evaluation()
        self.bundles = self._build_model_package_group()
        self.states = self._build_states()
        self.role = self._build_role()
        self.state_machine = self._build_state_machine()
        self._acknowledge_tasks()
        self._build_rule()

    def _build_train_role(self) -> SageMakerRole:
        """Build the role of jobs that train; where none does, the one that assembles stands in."""
        return self._role("TrainRole", reads=[]) if self._system.train else self.assemble_role

    def _build_assemble_role(self) -> SageMakerRole:
        return self._role("AssembleRole", reads=[self._training, f"{ENDPOINT}{self._system.name}/"])

    def _role(self, construct_id: str, *, reads: list[str]) -> SageMakerRole:
        """Build the role of a job that reads features and these prefixes of the models bucket."""
        return SageMakerRole(
            self,
            construct_id,
            image=self.image,
            key=self._data.key,
            access=Access(
                prefixes=[
                    Prefixes(self.data_bucket, reads=[self._features]),
                    Prefixes(self.models_bucket, reads=reads, writes=[self._training]),
                ],
                log_groups="TrainingJobs",
                placement=self._placement,
            ),
        )

    def _build_evaluation(self) -> PythonFunction:
        data, models = self.data_bucket, self.models_bucket
        evaluation = PythonFunction(
            self,
            "Evaluation",
            handler=Handler(
                folder="evaluation",
                name=f"{self._system.name}-evaluation",
                timeout=cdk.Duration.minutes(5),
                memory_mb=512,
                environment={
                    "DATA_BUCKET": data.bucket_name,
                    "MODELS_BUCKET": models.bucket_name,
                    "ENVIRONMENT": self.settings.environment,
                    "SYSTEM": self._system.name,
                    "FEATURES_PREFIX": self._features,
                },
            ),
            key=self._data.key,
        )
        allow(
            evaluation.role,
            ["s3:GetObject"],
            [
                models.arn_for_objects(f"{self._training}*"),
                data.arn_for_objects(f"{self._features}*/{MANIFEST}"),
            ],
            because=RUNS,
        )
        allow(
            evaluation.role,
            ["s3:PutObject"],
            [
                models.arn_for_objects(f"{prefix}{self._system.name}/*")
                for prefix in (REPORTS, EVALUATIONS)
            ],
            because=RUNS,
        )
        allow_key(evaluation.role, self._data.key)
        return evaluation

    def _build_model_package_group(self) -> sagemaker.CfnModelPackageGroup:
        group = sagemaker.CfnModelPackageGroup(
            self,
            "Bundles",
            model_package_group_name=self._named.model_package_group,
            model_package_group_description="Every assembled bundle, with the gate's decision",
        )
        # SageMaker refuses to delete a group that holds packages: like data, it is let go only when
        # setting and flag say so, and the packages have to be deleted before.
        group.apply_removal_policy(self.removal_policy)
        return group

    def _build_states(self) -> TrainingStates:
        return TrainingStates(
            self,
            "States",
            parts=TrainingParts(
                system=self._system,
                settings=self._own,
                runtime=TrainingRuntime(
                    settings=self._own.training,
                    image_uri=self.image.uri,
                    models_bucket=self.models_bucket,
                    output=self._training,
                    key=self._data.key,
                    placement=self._placement,
                ),
                train_role=self.train_role,
                assemble_role=self.assemble_role,
                evaluation=self.evaluation.function,
                notices=self._data.notices,
            ),
        )

    def _build_state_machine(self) -> sfn.StateMachine:
        return sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=self._named.state_machine,
            definition_body=sfn.DefinitionBody.from_chainable(self.states.definition),
            role=self.role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self.log_group(
                    "StateMachineLogs",
                    name=f"/aws/vendedlogs/states/{self._named.state_machine}",
                    key=self._data.key,
                ),
                level=sfn.LogLevel.ALL,
                include_execution_data=True,
            ),
            timeout=self._time_limit(),
        )

    def _time_limit(self) -> cdk.Duration:
        """Return twice the time that all jobs can take: an execution may wait for another.

        Tasks train side by side; Step Functions gives up after a year.
        """
        settings = self._own.training
        tasks = self._system.trained(self._own.optional_tasks)
        most = max((task.most for task in tasks), default=0)
        rounds = math.ceil(most / settings.max_concurrent_jobs)
        seconds = 2 * (rounds + 1) * longest_seconds(settings)
        return cdk.Duration.seconds(min(seconds, cdk.Duration.days(365).to_seconds()))

    def _build_role(self) -> iam.Role:
        """Build the state machine's role: the training jobs; CDK adds what its own tasks need."""
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        jobs = self.format_arn(service="sagemaker", resource="training-job", resource_name="*")
        allow(
            role,
            ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob"]
            + ["sagemaker:StopTrainingJob", "sagemaker:AddTags"],
            [jobs],
            because="a job's name carries the hash of its execution",
        )
        completed = self.format_arn(
            service="events",
            resource="rule",
            resource_name="StepFunctionsGetEventsForSageMakerTrainingJobsRule",
        )
        allow(role, ["events:PutTargets", "events:PutRule", "events:DescribeRule"], [completed])
        allow(
            role,
            ["iam:PassRole"],
            list(dict.fromkeys([self.train_role.role_arn, self.assemble_role.role_arn])),
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        )
        archives = [self.models_bucket.arn_for_objects(f"{self._training}*")]
        allow(role, ["s3:GetObject"], archives, because=RUNS)
        self.image.grant_look_up(role)
        allow_key(role, self._data.key)
        return role

    def _acknowledge_tasks(self) -> None:
        """Say why the statements that CDK added for the states have wildcards."""
        for resource, reason in self.states.wildcards.items():
            acknowledge_wildcard(self.role, resource, because=reason)
        acknowledge_wildcard(
            self.role, "*", because=f"{TRACING}; neither has the delivery of vended logs"
        )

    @property
    def _training(self) -> str:
        """The prefix in the models bucket of what training leaves."""
        return f"{TRAINING}{self._system.name}/"

    @property
    def _features(self) -> str:
        """The prefix in the data bucket of what is trained on."""
        return self._system.output(self._system.features.name)

    def _build_rule(self) -> None:
        events.Rule(
            self,
            "FeaturesAreReady",
            rule_name=f"{self._named.prefix}-features-ready",
            description=f"The job {self._system.features.name} succeeded: train",
            event_pattern=events.EventPattern(
                source=["aws.glue"],
                detail_type=["Glue Job State Change"],
                detail={
                    "jobName": [self._named.job(self._system.features.name)],
                    "state": ["SUCCEEDED"],
                },
            ),
            targets=[
                targets.SfnStateMachine(
                    self.state_machine,
                    input=events.RuleTargetInput.from_object(
                        {"features_run": events.EventField.from_path("$.detail.jobRunId")}
                    ),
                )
            ],
        )
