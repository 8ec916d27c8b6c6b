"""The states of the training state machine: read, train, assemble, judge, register, publish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.constructs.permissions import RUNS
from infra.constructs.service_call import list_running, service_call
from infra.constructs.training_job import (
    InputChannel,
    TrainingJob,
    TrainingRuntime,
    TrainingTask,
)
from listening.resources import (
    BUNDLE,
    ENDPOINT,
    EVALUATION,
    MANIFEST,
    REPORTS,
    TRAINING,
    target_model,
)
from listening.systems import ASSEMBLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_lambda as lambda_
    from aws_cdk import aws_sns as sns

    from infra.base_stack import BaseStack
    from infra.settings import SystemSettings
    from listening.systems import Channel, System, Task

_MODEL_ARCHIVE = "output/model.tar.gz"
_TURN_SECONDS = 30
"""First wait for an execution's turn; the list of those that run lags behind by seconds."""
_MOST_RUNNING = 300
"""How many executions one call lists: their names have to fit into the 256 KB of a state."""


@dataclass(frozen=True, kw_only=True)
class TrainingParts:
    """What the states work with, beside the buckets and names of their stack.

    Parameters
    ----------
    system, settings
        Whose states they are, and what the environment chooses for it.
    runtime
        What all training jobs run on.
    train_role, assemble_role
        What the jobs that train, and the one that assembles, may do.
    evaluation
        The function that publishes a report and tells the gate's decision.
    notices
        The topic that hears why an execution failed.
    """

    system: System
    settings: SystemSettings
    runtime: TrainingRuntime
    train_role: iam.IRole
    assemble_role: iam.IRole
    evaluation: lambda_.IFunction
    notices: sns.ITopic


class TrainingStates(Construct):
    """The definition; an execution's input is ``{"features_run": <run>}``.

    Its output is what `Published` and `Refused` say: version, decision, reasons, metrics.
    """

    def __init__(self, scope: BaseStack, construct_id: str, *, parts: TrainingParts) -> None:
        super().__init__(scope, construct_id)
        self._stack = scope
        self._parts = parts
        self._system = parts.system
        self._tasks = parts.system.trained(parts.settings.optional_tasks)
        self._names = scope.names.of(parts.system.name)
        self.definition = self._build_definition()

    @property
    def wildcards(self) -> dict[str, str]:
        """The resources with a wildcard that the states use, each with the reason for it."""
        return {
            self._stack.data_bucket.arn_for_objects(f"{self._features}*"): RUNS,
            self._stack.models_bucket.arn_for_objects(self._published): RUNS,
            self._model_packages: RUNS,
            f"{self._parts.evaluation.function_arn}:*": (
                "CDK allows the versions of the one function too"
            ),
        }

    def _build_definition(self) -> sfn.IChainable:
        list_running = self._build_list_running()
        read_features = self._build_read_features()
        read_champion = self._build_read_champion("ReadChampion", "$.champion")
        find_champion = self._build_find_champion()
        train = self._build_train_all()
        assemble = self._build_assemble()
        evaluate = self._build_read_evaluation()
        register = self._build_register()
        record = self._build_record_decision()
        publish = self._build_publish()
        read_again = self._build_read_champion("ReadChampionAgain", "$.champion_now")
        promote = self._build_promote()
        failure = self._build_failure()
        if isinstance(train, sfn.Parallel):
            train.add_catch(failure, errors=["States.ALL"], result_path="$.error")
        for state in (
            list_running,
            read_features,
            read_champion,
            find_champion,
            assemble,
            evaluate,
            register,
            record,
            publish,
            read_again,
            promote,
        ):
            state.add_catch(failure, errors=["States.ALL"], result_path="$.error")
        is_still = (
            sfn.Choice(self, "IsChampionStill")
            .when(
                sfn.Condition.string_equals_json_path(
                    "$.champion_now.version", "$.champion.version"
                ),
                promote.next(self._build_done("Published", published=True)),
            )
            .otherwise(self._build_champion_has_changed().next(failure))
        )
        decide = (
            sfn.Choice(self, "Decide")
            .when(
                sfn.Condition.string_equals("$.evaluation.decision", "Approved"),
                publish.next(read_again).next(is_still),
            )
            .otherwise(self._build_done("Refused", published=False))
        )
        train_and_publish = (
            train.next(assemble).next(evaluate).next(register).next(record).next(decide)
        )
        is_there = (
            sfn.Choice(self, "IsChampionThere")
            .when(sfn.Condition.number_equals("$.found.count", 1), train_and_publish)
            .otherwise(self._build_champion_is_gone().next(failure))
        )
        prepare = (
            read_features.next(self._build_keep_items())
            .next(read_champion)
            .next(find_champion)
            .next(is_there)
        )
        return self._build_begin().next(self._build_turn(list_running, prepare))

    def _build_begin(self) -> sfn.Pass:
        """Give the execution the id that its jobs and prefixes carry."""
        return sfn.Pass(
            self,
            "Begin",
            parameters={
                "features_run.$": "$.features_run",
                "run.$": "States.Hash($$.Execution.Id, 'MD5')",
                "turn": {
                    "execution.$": "$$.Execution.Id",
                    "seconds": self._turn_seconds,
                },
            },
        )

    @property
    def _turn_seconds(self) -> int:
        return min(_TURN_SECONDS, self._parts.runtime.settings.capacity_wait_seconds)

    def _build_turn(self, list_running: sfn.TaskStateBase, then: sfn.IChainable) -> sfn.IChainable:
        """Wait until every execution that was started before has ended.

        So no bundle is judged against a champion that another execution replaces meanwhile, and
        the last features are the last to be published. Each wait is longer than the one before,
        since the history of an execution holds 25,000 events.
        """
        wait = sfn.Wait(self, "WaitForTurn", time=sfn.WaitTime.seconds_path("$.turn.seconds"))
        longer = sfn.Pass(
            self,
            "WaitLonger",
            parameters={
                "execution.$": "$.turn.execution",
                "seconds.$": f"States.MathAdd($.turn.seconds, {self._turn_seconds})",
            },
            result_path="$.turn",
        )
        first = "$.turn.running.first[0]"
        is_first = sfn.Condition.and_(
            sfn.Condition.is_present(first),
            sfn.Condition.string_equals_json_path(first, "$.turn.execution"),
        )
        judge = sfn.Choice(self, "IsItsTurn").when(is_first, then).otherwise(longer.next(wait))
        return wait.next(list_running).next(judge)

    def _build_list_running(self) -> tasks.CallAwsService:
        return list_running(
            self,
            "ListRunning",
            arn=self._names.state_machine_arn(self._names.state_machine),
            most=_MOST_RUNNING,
            result_selector={"first.$": "$.Executions[-1:].ExecutionArn"},
            result_path="$.turn.running",
        )

    def _build_read_features(self) -> tasks.CallAwsService:
        bucket = self._stack.data_bucket
        return service_call(
            self,
            "ReadFeatures",
            service="s3",
            action="getObject",
            parameters={
                "Bucket": bucket.bucket_name,
                "Key": sfn.JsonPath.format(
                    f"{self._features}{{}}/{MANIFEST}", sfn.JsonPath.string_at("$.features_run")
                ),
            },
            iam_resources=[bucket.arn_for_objects(f"{self._features}*")],
            result_selector={"manifest.$": "States.StringToJson($.Body)"},
            result_path="$.features",
        )

    def _build_keep_items(self) -> sfn.Pass:
        """Keep of the manifest what the tasks are mapped over: a state holds 256 KB."""
        return sfn.Pass(
            self,
            "KeepItems",
            parameters={
                "features_run.$": "$.features_run",
                "run.$": "$.run",
                "items": {
                    f"{task.name}.$": f"$.features.manifest.{task.each}"
                    for task in self._tasks
                    if task.each
                },
            },
        )

    def _build_read_champion(self, name: str, path: str) -> tasks.CallAwsService:
        return service_call(
            self,
            name,
            service="ssm",
            action="getParameter",
            parameters={"Name": self._names.champion_parameter},
            iam_resources=[self._stack.champion_arn(self._system.name)],
            result_selector={"version.$": "$.Parameter.Value"},
            result_path=path,
        )

    def _build_find_champion(self) -> tasks.CallAwsService:
        """Look for the archive that `assemble` will need, before hours of training."""
        bucket = self._stack.models_bucket
        return service_call(
            self,
            "FindChampion",
            service="s3",
            action="listObjectsV2",
            parameters={
                "Bucket": bucket.bucket_name,
                "Prefix": sfn.JsonPath.format(
                    ENDPOINT + target_model(self._system.name, "{}"),
                    sfn.JsonPath.string_at("$.champion.version"),
                ),
            },
            iam_action="s3:ListBucket",
            iam_resources=[bucket.bucket_arn],
            result_selector={"count.$": "$.KeyCount"},
            result_path="$.found",
        )

    def _build_champion_is_gone(self) -> sfn.Pass:
        return self._build_refusal(
            "ChampionIsGone",
            "States.Format('the champion is {}, whose archive is gone: name another with "
            f"`listening models rollback --system {self._system.name}`, then start again', "
            "$.champion.version)",
        )

    def _build_champion_has_changed(self) -> sfn.Pass:
        """Leave alone what somebody chose by hand while the execution ran."""
        return self._build_refusal(
            "ChampionHasChanged",
            "States.Format('the champion was changed to {} meanwhile, so {} is published but not "
            "the champion: see `listening models compare {}`, then name it with `listening models "
            f"promote {{}} --system {self._system.name}`', $.champion_now.version, "
            "$.evaluation.version, "
            "$.evaluation.version, $.evaluation.version)",
        )

    def _build_refusal(self, name: str, cause: str) -> sfn.Pass:
        """Write an error of our own where a caught one would stand."""
        return sfn.Pass(
            self, name, parameters={"Error": name, "Cause.$": cause}, result_path="$.error"
        )

    def _build_train_all(self) -> sfn.Parallel | sfn.Pass:
        """Train what the system's entry and the settings say, side by side.

        The result is a flat list of ``{"name": <training job>, "model": <model>}``.
        """
        if not self._tasks:
            return sfn.Pass(self, "TrainNothing", parameters={"jobs": []}, result_path="$.trained")
        return sfn.Parallel(
            self,
            "TrainModels",
            result_selector={"jobs.$": "$..job"},
            result_path="$.trained",
        ).branch(
            *(
                self._build_mapped(task) if task.each else self._build_single(task)
                for task in self._tasks
            )
        )

    def _build_single(self, task: Task) -> TrainingJob:
        settings = self._parts.runtime.settings
        hosts = settings.instance_count if any(c.shared for c in task.channels) else 1
        return self._job(
            task.name,
            TrainingTask(
                name=task.name,
                identity={"model": task.name, "slug": task.name},
                channels=self._channels(task.channels, hosts=hosts),
                instance_type=self._machine(task),
                instance_count=hosts,
                role=self._parts.train_role,
                hyperparameters=self._hyperparameters(task.name),
                metric=task.metric,
            ),
        )

    def _build_mapped(self, task: Task) -> sfn.Map:
        """Train one model for each item of a list of the features run's manifest."""
        return sfn.Map(
            self,
            f"{task.name.capitalize()}Map",
            items_path=f"$.items.{task.name}",
            item_selector={
                "features_run.$": "$.features_run",
                "run.$": "$.run",
                "slug.$": "$$.Map.Item.Value.slug",
            },
            max_concurrency=self._parts.runtime.settings.max_concurrent_jobs,
        ).item_processor(
            self._job(
                task.name,
                TrainingTask(
                    name=task.name,
                    identity={
                        "model.$": f"States.Format('{task.name}-{{}}', $.slug)",
                        "slug.$": "$.slug",
                    },
                    channels=self._channels(task.channels, "$.slug"),
                    instance_type=self._machine(task),
                    role=self._parts.train_role,
                    hyperparameters=self._hyperparameters(task.name) | {"item.$": "$.slug"},
                    metric=task.metric,
                ),
            )
        )

    def _build_assemble(self) -> sfn.Parallel:
        """Evaluate, judge and bundle; a branch of its own, so that one catch covers its states."""
        models, names = self._stack.models_bucket, self._names
        champion = f"{ENDPOINT}{target_model(names.system, '{}')}"
        assemble = self._job(
            ASSEMBLE,
            TrainingTask(
                name=ASSEMBLE,
                identity={"model": ASSEMBLE, "slug": ASSEMBLE},
                channels={
                    **self._channels(self._system.assemble),
                    **(
                        {"models": InputChannel(models, f"{self._training}{{}}/", ("$.run",))}
                        if self._tasks
                        else {}
                    ),
                    "champion": InputChannel(models, champion, ("$.champion.version",)),
                },
                instance_type=self._parts.runtime.settings.instance_type,
                role=self._parts.assemble_role,
                hyperparameters=self._hyperparameters(ASSEMBLE),
            ),
        )
        return sfn.Parallel(
            self,
            "Assemble",
            result_selector={"job.$": "$[0].job.name"},
            result_path="$.assembled",
        ).branch(assemble)

    def _build_read_evaluation(self) -> tasks.LambdaInvoke:
        return tasks.LambdaInvoke(
            self,
            "ReadEvaluation",
            lambda_function=self._parts.evaluation,
            payload=sfn.TaskInput.from_object(
                {
                    "run": sfn.JsonPath.string_at("$.run"),
                    "job": sfn.JsonPath.string_at("$.assembled.job"),
                    "features_run": sfn.JsonPath.string_at("$.features_run"),
                }
            ),
            payload_response_only=True,
            result_path="$.evaluation",
            retry_on_service_exceptions=True,
        )

    def _build_register(self) -> tasks.CallAwsService:
        models = self._stack.models_bucket.bucket_name
        archive = f"s3://{models}/{self._training}{{}}/{{}}/{_MODEL_ARCHIVE}"
        return service_call(
            self,
            "RegisterBundle",
            service="sagemaker",
            action="createModelPackage",
            parameters={
                "ModelPackageGroupName": self._names.model_package_group,
                "ModelPackageDescription": sfn.JsonPath.format(
                    "Bundle {} of features run {}",
                    sfn.JsonPath.string_at("$.evaluation.version"),
                    sfn.JsonPath.string_at("$.features_run"),
                ),
                "ModelApprovalStatus": "PendingManualApproval",
                # A second call, after an answer that was lost, registers nothing more.
                "ClientToken": sfn.JsonPath.string_at("$.run"),
                "InferenceSpecification": {
                    "Containers": [
                        {
                            "Image": self._parts.runtime.image_uri,
                            "ModelDataUrl": sfn.JsonPath.format(
                                archive,
                                sfn.JsonPath.string_at("$.run"),
                                sfn.JsonPath.string_at("$.assembled.job"),
                            ),
                        }
                    ],
                    "SupportedContentTypes": ["application/json"],
                    "SupportedResponseMIMETypes": ["application/json"],
                },
                "ModelMetrics": {
                    "ModelQuality": {
                        "Statistics": {
                            "ContentType": "application/json",
                            "S3Uri": sfn.JsonPath.format(
                                f"s3://{models}/{REPORTS}{self._system.name}/{{}}/{EVALUATION}",
                                sfn.JsonPath.string_at("$.evaluation.version"),
                            ),
                        }
                    }
                },
            },
            iam_resources=[self._model_package_group, self._model_packages],
            result_selector={"arn.$": "$.ModelPackageArn"},
            result_path="$.package",
        )

    def _build_record_decision(self) -> tasks.CallAwsService:
        """Set the package's status, metrics and reasons; for these only an update has a field."""
        return service_call(
            self,
            "RecordDecision",
            service="sagemaker",
            action="updateModelPackage",
            parameters={
                "ModelPackageArn": sfn.JsonPath.string_at("$.package.arn"),
                "ModelApprovalStatus": sfn.JsonPath.string_at("$.evaluation.decision"),
                "ApprovalDescription": sfn.JsonPath.string_at("$.evaluation.description"),
                "CustomerMetadataProperties": sfn.JsonPath.object_at("$.evaluation.metadata"),
            },
            iam_resources=[self._model_packages],
            result_path=sfn.JsonPath.DISCARD,
        )

    def _build_publish(self) -> sfn.Parallel:
        """Copy every archive under the endpoint's prefix; the bundle last, as readers look for it.

        The keys carry the bundle's version, which is a hash of its content: what is loaded from
        them stays true.
        """
        each = sfn.Map(
            self,
            "PublishModels",
            items_path="$.trained.jobs",
            item_selector={
                "run.$": "$.run",
                "version.$": "$.evaluation.version",
                "job.$": "$$.Map.Item.Value.name",
                "model.$": "$$.Map.Item.Value.model",
            },
            max_concurrency=8,
            result_path=sfn.JsonPath.DISCARD,
        ).item_processor(
            self._copy("PublishModel", version="$.version", job="$.job", model="$.model")
        )
        bundle = self._copy("PublishBundle", version="$.evaluation.version", job="$.assembled.job")
        return sfn.Parallel(self, "Publish", result_path=sfn.JsonPath.DISCARD).branch(
            each.next(bundle)
        )

    def _build_promote(self) -> tasks.CallAwsService:
        return service_call(
            self,
            "PromoteChampion",
            service="ssm",
            action="putParameter",
            parameters={
                "Name": self._names.champion_parameter,
                "Value": sfn.JsonPath.string_at("$.evaluation.version"),
                "Type": "String",
                "Overwrite": True,
            },
            iam_resources=[self._stack.champion_arn(self._system.name)],
            result_path=sfn.JsonPath.DISCARD,
        )

    def _build_done(self, state: str, *, published: bool) -> sfn.Pass:
        return sfn.Pass(
            self,
            state,
            parameters={
                "run.$": "$.run",
                "features_run.$": "$.features_run",
                "bundle_version.$": "$.evaluation.version",
                "previous_champion.$": "$.champion.version",
                "decision.$": "$.evaluation.decision",
                "reasons.$": "$.evaluation.reasons",
                "metrics.$": "$.evaluation.metrics",
                "synthetic.$": "$.evaluation.synthetic",
                "model_package.$": "$.package.arn",
                "published": published,
            },
        )

    def _build_failure(self) -> sfn.IChainable:
        """Tell the topic why, then fail with the same cause.

        The error's own name is in the notice: a Fail state must not take one of 'States.'.
        """
        notify = service_call(
            self,
            "NotifyFailure",
            service="sns",
            action="publish",
            parameters={
                "TopicArn": self._parts.notices.topic_arn,
                "Subject": (
                    f"Training of {self._system.name} failed in {self._stack.settings.environment}"
                ),
                "Message": sfn.JsonPath.format(
                    "{}\n{}\n{}",
                    sfn.JsonPath.string_at("$$.Execution.Id"),
                    sfn.JsonPath.string_at("$.error.Error"),
                    sfn.JsonPath.string_at("$.error.Cause"),
                ),
            },
            iam_resources=[self._parts.notices.topic_arn],
            result_path=sfn.JsonPath.DISCARD,
        )
        failed = sfn.Fail(self, "Failed", error="TrainingFailed", cause_path="$.error.Cause")
        notify.add_catch(failed, errors=["States.ALL"], result_path="$.notice")
        return notify.next(failed)

    @property
    def _model_package_group(self) -> str:
        return self._stack.format_arn(
            service="sagemaker",
            resource="model-package-group",
            resource_name=self._names.model_package_group,
        )

    @property
    def _model_packages(self) -> str:
        return self._stack.format_arn(
            service="sagemaker",
            resource="model-package",
            resource_name=f"{self._names.model_package_group}/*",
        )

    @property
    def _training(self) -> str:
        """The prefix of the executions' output in the models bucket."""
        return f"{TRAINING}{self._system.name}/"

    def _machine(self, task: Task) -> str:
        settings = self._parts.runtime.settings
        return settings.instance_type if task.machine == "large" else settings.small_instance_type

    def _hyperparameters(self, task: str) -> dict[str, str]:
        return {
            "task": f"{self._system.name}.{task}",
            **self._parts.settings.task_hyperparameters(task),
        }

    def _channels(
        self, channels: Sequence[Channel], *fields: str, hosts: int = 1
    ) -> dict[str, InputChannel]:
        """Return channels of the features run as inputs of a job."""
        return {
            channel.name: InputChannel(
                self._stack.data_bucket,
                f"{self._features}{{}}/{channel.prefix}",
                ("$.features_run", *(fields if "{}" in channel.prefix else ())),
                sharded=channel.shared and hosts > 1,
            )
            for channel in channels
        }

    @property
    def _features(self) -> str:
        """The prefix of the features runs in the data bucket."""
        return self._system.output(self._system.features.name)

    def _job(self, name: str, task: TrainingTask) -> TrainingJob:
        return TrainingJob(self, f"{name.capitalize()}Job", task=task, runtime=self._parts.runtime)

    def _copy(
        self, state: str, *, version: str, job: str, model: str | None = None
    ) -> tasks.CallAwsService:
        """Copy an archive to its target: the model that the state's input names, or the bundle."""
        bucket = self._stack.models_bucket
        target = ENDPOINT + target_model(self._system.name, "{}", "{}" if model else BUNDLE)
        fields = [version, model] if model else [version]
        return service_call(
            self,
            state,
            service="s3",
            action="copyObject",
            parameters={
                "Bucket": bucket.bucket_name,
                "Key": sfn.JsonPath.format(target, *map(sfn.JsonPath.string_at, fields)),
                "CopySource": sfn.JsonPath.format(
                    f"{bucket.bucket_name}/{self._training}{{}}/{{}}/{_MODEL_ARCHIVE}",
                    sfn.JsonPath.string_at("$.run"),
                    sfn.JsonPath.string_at(job),
                ),
            },
            iam_action="s3:PutObject",
            iam_resources=[bucket.arn_for_objects(self._published)],
            result_path=sfn.JsonPath.DISCARD,
        )

    @property
    def _published(self) -> str:
        return f"{ENDPOINT}{self._system.name}/*"
