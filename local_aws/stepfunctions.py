"""Step Functions: moto's interpreter of the state language, with the integrations it lacks.

Moto interprets state machines when told to. Added here: ``sagemaker:createTrainingJob.sync``;
``glue:startJobRun.sync``, whose end moto cannot reach; answers of ``aws-sdk`` integrations that
hold streams and times; AWS's names of their errors; state machines that CloudFormation makes;
names for executions started without one; the event of an execution's end.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import uuid
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.exceptions import ClientError, UnknownServiceError
from botocore.model import ListShape, StructureShape
from botocore.response import StreamingBody
from moto.core.config import default_user_config
from moto.core.exceptions import AWSError
from moto.stepfunctions import models
from moto.stepfunctions.exceptions import InvalidName
from moto.stepfunctions.parser.api import (
    HistoryEventType,
    InvalidDefinition,
    TaskFailedEventDetails,
)
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import (
    CustomErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk as sdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import (
    ResourceCondition,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (  # noqa: E501
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_glue import (  # noqa: E501
    StateTaskServiceGlue,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication
from moto.stepfunctions.parser.models import (
    StepFunctionsParserBackend,
    stepfunctions_parser_backends,
)

from local_aws import names
from local_aws.runtime import ACCOUNT, REGION, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local_aws.events import EventBus
    from local_aws.patching import Patches

log = logging.getLogger(__name__)

INTEGRATION = re.compile(
    r"arn:[a-z-]+:states:::(?:aws-sdk:(?P<sdk>[a-z0-9]+)|(?P<service>sagemaker|glue))"
    r":(?P<action>[A-Za-z0-9]+)(?:\.sync)?"
)
SERVICE_NAMES = {"s3": "S3", "ssm": "Ssm", "sagemaker": "SageMaker", "glue": "Glue", "sns": "Sns"}
"""How error names of ``aws-sdk`` integrations spell a service, after its Java SDK:
https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html"""


def plain(value: Any) -> Any:
    """Return an API's answer as JSON can hold it: streams read, times as ISO 8601."""
    if isinstance(value, StreamingBody):
        return value.read().decode("utf-8")
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if name != "ResponseMetadata"}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


class _SyncOnly(StateTaskServiceCallback):
    """Wait for a resource without a task token, for which moto's own way has no end."""

    def _eval_integration_pattern(
        self,
        env: Any,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        resolver = self._build_sync_resolver(
            env=env,
            resource_runtime_part=resource_runtime_part,
            normalised_parameters=normalised_parameters,
            state_credentials=state_credentials,
        )
        outcome = self._eval_sync(
            env=env,
            sync_resolver=resolver,
            timeout_seconds=None,
            callback_endpoint=None,
            heartbeat_endpoint=None,
        )
        if outcome is None:  # the execution has ended meanwhile
            self._cancel()
        env.stack.append(plain(outcome))

    def _cancel(self) -> None:
        """Stop what was waited for, as Step Functions does when a state is aborted."""

    def _failed(self, env: Any, *, name: Any, error: str, cause: str) -> FailureEvent:
        details = TaskFailedEventDetails(
            resource=self._get_sfn_resource(),
            resourceType=self._get_sfn_resource_type(),
            error=error,
            cause=cause,
        )
        return FailureEvent(
            env=env,
            error_name=name,
            event_type=HistoryEventType.TaskFailed,
            event_details=EventDetails(taskFailedEventDetails=details),  # type: ignore[typeddict-item]
        )


class GlueTask(_SyncOnly, StateTaskServiceGlue):
    """``glue:startJobRun`` and its ``.sync``."""


class SageMakerTask(_SyncOnly):
    """``sagemaker:createTrainingJob`` and its ``.sync``."""

    def __init__(self) -> None:
        super().__init__(supported_integration_patterns={ResourceCondition.Sync})  # type: ignore[arg-type]

    def _get_supported_parameters(self) -> set[str] | None:
        # What the API takes is checked by the API.
        return set() if self.resource.api_action.lower() == "createtrainingjob" else None

    def _eval_service_task(
        self,
        env: Any,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        client = _sagemaker(resource_runtime_part, state_credentials)
        answer = plain(client.create_training_job(**normalised_parameters))
        env.stack.append({**answer, "TrainingJobName": normalised_parameters["TrainingJobName"]})

    def _build_sync_resolver(
        self,
        env: Any,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> TrainingWatch:
        name = env.stack.pop()["TrainingJobName"]
        return TrainingWatch(self, env, _sagemaker(resource_runtime_part, state_credentials), name)

    def _eval_sync(self, env: Any, sync_resolver: Any, *args: Any, **kwargs: Any) -> Any:
        outcome = super()._eval_sync(env, sync_resolver, *args, **kwargs)
        if outcome is None:  # another branch failed, or the execution was stopped
            sync_resolver.stop()
        return outcome

    def _from_error(self, env: Any, ex: Exception) -> FailureEvent:
        if not isinstance(ex, ClientError):
            return super()._from_error(env=env, ex=ex)
        code = ex.response["Error"]["Code"]
        known = code in {"ResourceLimitExceeded", "ResourceInUse", "ResourceNotFound"}
        error = f"SageMaker.{code}Exception" if known else "SageMaker.AmazonSageMakerException"
        cause = ex.response["Error"]["Message"]
        return self._failed(env, name=CustomErrorName(error), error=error, cause=cause)


@dataclass(frozen=True)
class TrainingWatch:
    """Tells how a training job stands, and stops it when nobody waits for it any more."""

    task: SageMakerTask
    env: Any
    client: Any
    name: str

    def __call__(self) -> dict[str, Any] | None:
        """Return the job when it is done, None before."""
        job: dict[str, Any] = plain(self.client.describe_training_job(TrainingJobName=self.name))
        if job["TrainingJobStatus"] in {"InProgress", "Stopping"}:
            return None
        if job["TrainingJobStatus"] == "Completed":
            return job
        failed = StatesErrorNameType.StatesTaskFailed
        raise FailureEventException(
            self.task._failed(
                self.env,
                name=StatesErrorName(typ=failed),
                error=failed.to_name(),
                cause=json.dumps(job),
            )
        )

    def stop(self) -> None:
        """Stop the job, as Step Functions does when it aborts a state."""
        with contextlib.suppress(ClientError):  # it may have ended by itself
            self.client.stop_training_job(TrainingJobName=self.name)


class SdkTask(sdk.StateTaskServiceAwsSdk):
    """``aws-sdk`` integrations: any answer as JSON, and fields in PascalCase as on AWS."""

    def _normalise_parameters(self, parameters: dict[str, Any], *_: Any, **__: Any) -> None:
        members = _operation(self.resource.resource_arn)[0]
        for name in [name for name in parameters if name not in members]:
            parameters[name[0].lower() + name[1:]] = parameters.pop(name)

    def _eval_service_task(self, env: Any, *args: Any, **kwargs: Any) -> None:
        super()._eval_service_task(env, *args, **kwargs)
        answer = plain(env.stack.pop())
        env.stack.append(_capitalised(answer, _operation(self.resource.resource_arn)[1]))


def _capitalised(answer: Any, shape: Any) -> Any:
    """Return an answer with the names of its fields, not the keys of its maps, capitalised."""
    if isinstance(answer, dict) and isinstance(shape, StructureShape):
        return {
            name[0].upper() + name[1:]: _capitalised(value, shape.members.get(name))
            for name, value in answer.items()
        }
    if isinstance(answer, list) and isinstance(shape, ListShape):
        return [_capitalised(item, shape.member) for item in answer]
    return answer


def _sagemaker(resource: Any, credentials: Any) -> Any:
    return boto_client_for(
        service="sagemaker", region=resource.region, state_credentials=credentials
    )


class StepFunctionsService:
    """Sets the hooks, starts executions for events."""

    def __init__(self, runtime: Runtime, events: EventBus) -> None:
        self._runtime = runtime
        self._events = events

    @property
    def backend(self) -> Any:
        """Moto's records."""
        return stepfunctions_parser_backends[ACCOUNT][REGION]

    def install(self, patches: Patches) -> None:
        """Set the hooks."""
        patches.items(default_user_config, stepfunctions={"execute_state_machine": True})
        # CloudFormation makes state machines through this name.
        patches.replace(models, "stepfunctions_backends", stepfunctions_parser_backends)
        patches.wrap(state_task_factory, "state_task_service_for", self._task_for)
        patches.items(sdk._SERVICE_ERROR_NAMES, **SERVICE_NAMES)
        patches.replace(
            StepFunctionsParserBackend,
            "_validate_definition",
            staticmethod(_checked(StepFunctionsParserBackend._validate_definition)),
        )
        patches.wrap(CustomErrorName, "__init__", _any_error_name)
        patches.wrap(StepFunctionsParserBackend, "start_execution", self._start)
        patches.wrap(BaseExecutionWorkerCommunication, "terminated", self._ended)
        patches.wrap(models.StateMachine, "get_cfn_attribute", _attribute)
        patches.replace(models.StateMachine, "has_cfn_attr", classmethod(_has_attribute))
        self._events.deliver_to("states", self._deliver)

    @staticmethod
    def _task_for(original: Callable[..., Any], service_name: str) -> Any:
        own: Mapping[str, type] = {
            "sagemaker": SageMakerTask,
            "glue": GlueTask,
            "aws-sdk": SdkTask,
        }
        return own[service_name]() if service_name in own else original(service_name)

    @staticmethod
    def _start(
        original: Callable[..., Any],
        backend: Any,
        state_machine_arn: str,
        name: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        name = str(uuid.uuid4()) if name is None else name
        if not names.is_execution_name(name):
            raise InvalidName(f"Invalid Name: '{name}'")
        return original(backend, state_machine_arn, name, *args, **kwargs)

    def _deliver(self, arn: str, text: str, _event: Mapping[str, Any]) -> None:
        """Start an execution, named as EventBridge names it."""
        self.backend.start_execution(arn, f"{uuid.uuid4()}_{uuid.uuid4()}", text)

    def _ended(self, original: Callable[[Any], None], worker: Any) -> None:
        original(worker)
        execution = worker.execution
        log.info("execution %s %s %s", execution.name, execution.status, execution.cause or "")
        self._events.publish(
            source="aws.states",
            kind="Step Functions Execution Status Change",
            resources=(execution.exec_arn,),
            detail={
                "executionArn": execution.exec_arn,
                "stateMachineArn": execution.state_machine_arn,
                "name": execution.name,
                "status": execution.status,
                "input": execution.execution_input,
                "output": json.dumps(execution.output) if execution.output is not None else None,
                "error": execution.error,
                "cause": execution.cause,
            },
        )


class RefusedDefinition(AWSError):
    """A definition that is wrong; moto's own error of this kind loses its name on the way."""

    TYPE = "InvalidDefinition"
    STATUS = 400


def _checked(original: Callable[[str], None]) -> Callable[..., None]:
    def validate(definition: str) -> None:
        try:
            original(definition)
        except InvalidDefinition as error:
            raise RefusedDefinition(error.message) from error
        unknown = unknown_fields(json.loads(definition))
        if unknown:
            raise RefusedDefinition(f"Invalid State Machine Definition: '{'; '.join(unknown)}'")

    return validate


def unknown_fields(definition: Mapping[str, Any], place: str = "/States") -> list[str]:
    """Return the parameters of service integrations that the service's API does not have.

    AWS refuses such a definition in these words; moto would fail only when the state is reached.
    """
    found: list[str] = []
    for name, state in definition.get("States", {}).items():
        here = f"{place}/{name}"
        members, _ = _operation(state.get("Resource", ""))
        names = {name[0].upper() + name[1:] for name in members}
        for field in state.get("Parameters", {}) if members else ():
            if field.removesuffix(".$") not in names:
                found.append(
                    f'SCHEMA_VALIDATION_FAILED: The field "{field}" is not supported by Step '
                    f"Functions at {here}/Parameters"
                )
        for index, branch in enumerate(state.get("Branches", ())):
            found += unknown_fields(branch, f"{here}/Branches[{index}]/States")
        for inner in ("ItemProcessor", "Iterator"):
            found += unknown_fields(state.get(inner, {}), f"{here}/{inner}/States")
    return found


def _operation(resource: str) -> tuple[frozenset[str], Any]:
    """Return the parameters of the API that a resource integrates, and the shape of its answer.

    None of both if it is no such resource.
    """
    nothing: tuple[frozenset[str], Any] = frozenset(), None
    match = INTEGRATION.fullmatch(resource)
    if match is None:
        return nothing
    service = match["sdk"] or match["service"]
    model = _service_model(
        sdk.StateTaskServiceAwsSdk._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES.get(service, service)
    )
    operation = match["action"][0].upper() + match["action"][1:]
    if model is None or operation not in model.operation_names:
        return nothing
    found = model.operation_model(operation)
    return frozenset(found.input_shape.members), found.output_shape


@cache
def _service_model(service: str) -> Any:
    try:
        return botocore.session.get_session().get_service_model(service)
    except UnknownServiceError:
        return None


def _any_error_name(original: Callable[..., None], name: Any, error_name: str | None) -> None:
    """Let a Fail state repeat an error of the service's own, which moto refuses."""
    if error_name is not None and error_name.startswith("States."):
        ErrorName.__init__(name, error_name=error_name)
    else:
        original(name, error_name)


def _attribute(original: Callable[..., Any], machine: Any, attribute: str) -> Any:
    return machine.arn if attribute == "Arn" else original(machine, attribute)


def _has_attribute(_cls: Any, attr: str) -> bool:
    return attr in {"Arn", "Name", "StateMachineRevisionId"}
