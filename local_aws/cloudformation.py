"""CloudFormation: the resource types that moto lacks, and a refusal of those nobody has.

Moto skips a type that it does not know, silently, and reports success. Here a template is refused
before anything is made, with AWS's own message, unless each of its types is real, or stands on
the list of those that are safe to ignore, with the reason why. A resource that cannot be made
rolls its stack back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.cloudformation import models, parsing
from moto.cloudformation.exceptions import ValidationError
from moto.core.exceptions import ServiceException
from moto.sagemaker.models import FakeEndpoint, FakeEndpointConfig, Model
from werkzeug.exceptions import HTTPException

from local_aws import resources
from local_aws.custom_resources import CUSTOM, CustomResources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from local_aws.patching import Patches

log = logging.getLogger(__name__)

IGNORED: Mapping[str, str] = {
    "AWS::ApiGatewayV2::Api": "no HTTP API is served here: its function and the endpoint are real",
    "AWS::ApiGatewayV2::Authorizer": "no HTTP API is served here",
    "AWS::ApiGatewayV2::Integration": "no HTTP API is served here",
    "AWS::ApiGatewayV2::Route": "no HTTP API is served here",
    "AWS::ApiGatewayV2::Stage": "no HTTP API is served here",
    "AWS::ApplicationAutoScaling::ScalableTarget": "one machine: nothing to scale",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "one machine: nothing to scale",
    "AWS::Budgets::Budget": "nothing costs money here",
    "AWS::CDK::Metadata": "statistics for CDK's authors",
    "AWS::CloudWatch::Alarm": "no metrics are emitted, so nothing could alarm",
    "AWS::CloudWatch::CompositeAlarm": "no metrics are emitted, so nothing could alarm",
    "AWS::Logs::MetricFilter": "no metrics are emitted",
    "AWS::Oam::Link": "one account",
    "AWS::S3::BucketPolicy": "permissions are not enforced",
    "AWS::SNS::TopicPolicy": "permissions are not enforced",
    "AWS::SQS::QueuePolicy": "permissions are not enforced",
    "AWS::XRay::Group": "nothing is traced",
}
"""Types that do nothing here, each with the reason why that changes no result."""

RENEWED_BY_REPLACEMENT = frozenset({"AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig"})
"""Types whose update gives them a new name, so that what refers to them must be updated too."""


def unsupported(template: Mapping[str, Any]) -> list[str]:
    """Return the resource types of a template that are neither real nor safely ignored."""
    types = {resource["Type"] for resource in template.get("Resources", {}).values()}
    known = set(parsing.get_model_map()) | set(parsing.NULL_MODELS) | set(IGNORED)
    return sorted(kind for kind in types - known if not kind.startswith(("Custom::", CUSTOM)))


def _refuse_unsupported(template: str) -> None:
    found = unsupported(models.Stack.parse_template(template))
    if found:
        raise ValidationError(
            message=(
                f"Template format error: Unrecognized resource types: [{', '.join(found)}]. "
                "The emulator neither makes them real nor lists them as safely ignored "
                "(local_aws/cloudformation.py)."
            )
        )


@dataclass(frozen=True)
class CloudFormationService:
    """Refuses, makes and rolls back what moto does not."""

    custom: CustomResources

    def install(self, patches: Patches) -> None:
        """Register types, refuse templates, roll back."""
        for cache in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
            cache.cache_clear()
        backend = models.CloudFormationBackend
        patches.wrap(backend, "create_stack", self._create_or_roll_back)
        for operation in ("update_stack", "create_change_set"):
            patches.wrap(backend, operation, _checked)
        patches.wrap(parsing, "resource_class_from_type", self._class_of)
        patches.wrap(parsing, "parse_and_create_resource", self._create)
        patches.wrap(parsing, "parse_and_update_resource", self._update)
        patches.wrap(parsing.ResourceMap, "build_resource_diff", self._with_dependents)
        patches.wrap(models.Stack, "update", self._update_or_fail)
        patches.wrap(models.Stack, "delete", _delete_for_good)
        patches.wrap(backend, "delete_stack", _delete_stack)
        patches.wrap(backend, "_resolve_update_parameters", _resolve_parameters)
        patches.replace(parsing.ResourceMap, "delete", _delete_resources)
        for model, property_name in (
            (FakeEndpoint, "EndpointName"),
            (FakeEndpointConfig, "EndpointConfigName"),
            (Model, "ModelName"),
        ):
            patches.replace(model, "cloudformation_name_type", _constant(property_name))
        resources.install(patches)

    def _class_of(self, original: Callable[[str], Any], kind: str) -> Any:
        if kind.startswith(("Custom::", CUSTOM)):
            return self.custom.model
        return resources.Ignored if kind in IGNORED else original(kind)

    @staticmethod
    def _create(
        original: Callable[..., Any], logical_id: str, definition: Any, *args: Any, **kwargs: Any
    ) -> Any:
        try:
            return original(logical_id, definition, *args, **kwargs)
        except _Failed:
            raise
        except Exception as error:
            raise _Failed(logical_id, definition["Type"], _reason(error)) from error

    @staticmethod
    def _update(
        original: Callable[..., Any], logical_id: str, definition: Any, resources_map: Any, **k: Any
    ) -> Any:
        # Types of moto's that cannot be updated would vanish from the stack.
        return original(logical_id, definition, resources_map, **k) or resources_map[logical_id]

    @staticmethod
    def _with_dependents(
        original: Callable[..., dict[str, list[str]]], resource_map: Any, template: Any, *args: Any
    ) -> dict[str, list[str]]:
        """Add what refers to a replaced resource; order so that references are new when used."""
        actions = original(resource_map, template, *args)
        new = template["Resources"]
        changed = set(actions["Modify"])
        replaced = {name for name in changed if new[name]["Type"] in RENEWED_BY_REPLACEMENT}
        while replaced:
            replaced = {
                name
                for name in new.keys() - changed - set(actions["Add"])
                if replaced & _references(new[name])
            }
            changed |= replaced
            replaced = {name for name in replaced if new[name]["Type"] in RENEWED_BY_REPLACEMENT}
        return {**actions, "Modify": _in_order(changed, new)}

    @staticmethod
    def _create_or_roll_back(
        original: Callable[..., Any], backend: Any, *args: Any, **request: Any
    ) -> Any:
        _refuse_unsupported(request["template"])
        try:
            return original(backend, *args, **request)
        except _Failed as failure:
            stack = next(one for one in backend.stacks.values() if one.name == request["name"])
            log.exception("stack %s could not be created", stack.name)
            _record(stack, failure, "CREATE_FAILED")
            stack._add_stack_event("ROLLBACK_IN_PROGRESS", resource_status_reason=str(failure))
            try:
                stack.resource_map.delete()
            except _Failed as second:
                _record(stack, second, "DELETE_FAILED")
                stack._add_stack_event("ROLLBACK_FAILED", resource_status_reason=str(second))
                stack.status = "ROLLBACK_FAILED"
            else:
                stack._add_stack_event("ROLLBACK_COMPLETE")
                stack.status = "ROLLBACK_COMPLETE"
            _forget_resources(stack)
            return stack

    @staticmethod
    def _update_or_fail(
        original: Callable[..., None], stack: Any, *args: Any, **kwargs: Any
    ) -> None:
        try:
            original(stack, *args, **kwargs)
        except ValidationError:
            raise
        except Exception as error:
            failure = (
                error
                if isinstance(error, _Failed)
                else _Failed(stack.name, "AWS::CloudFormation::Stack", _reason(error))
            )
            log.exception("stack %s could not be updated", stack.name)
            _record(stack, failure, "UPDATE_FAILED")
            stack._add_stack_event("UPDATE_FAILED", resource_status_reason=str(failure))
            stack.status = "UPDATE_FAILED"


class _Failed(Exception):
    """A resource that could not be made."""

    def __init__(self, logical_id: str, kind: str, reason: str) -> None:
        super().__init__(f"{kind} {logical_id}: {reason}")
        self.logical_id = logical_id
        self.kind = kind
        self.reason = reason


def _record(stack: Any, failure: _Failed, status: str) -> None:
    stack.events.append(
        models.Event(
            stack_id=stack.stack_id,
            stack_name=stack.name,
            logical_resource_id=failure.logical_id,
            physical_resource_id="",
            resource_type=failure.kind,
            resource_status=status,
            resource_status_reason=failure.reason,
            resource_properties=None,
        )
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ServiceException | HTTPException):
        return str(getattr(error, "message", None) or error)
    return f"{type(error).__name__}: {error}"


def _in_order(names: Iterable[str], definitions: Mapping[str, Any]) -> list[str]:
    """Order resources so that each comes after those that it refers to or depends on."""
    waiting = set(names)
    ordered: list[str] = []
    while waiting:
        ready = sorted(n for n in waiting if not (_references(definitions[n]) & waiting) - {n})
        ordered += ready or sorted(waiting)
        waiting -= set(ordered)
    return ordered


def _delete_resources(resource_map: Any) -> None:
    """Delete what depends on others before them; moto's order is none, and tries again."""
    definitions = resource_map._resource_json_map
    for name in reversed(_in_order(definitions, definitions)):
        resource = resource_map._parsed_resources.get(name)
        kept = definitions[name].get("DeletionPolicy", "Delete") == "Retain"
        if resource is None or isinstance(resource, str) or kept:
            continue
        try:
            resource_map._delete_resource(resource, definitions[name])
        except Exception as error:
            raise _Failed(name, definitions[name]["Type"], _reason(error)) from error
        resource_map._parsed_resources.pop(name)


def _delete_stack(original: Callable[..., None], backend: Any, name_or_stack_id: str) -> None:
    """Keep a stack that cannot be deleted, with the reason why."""
    stacks = dict(backend.stacks)
    try:
        original(backend, name_or_stack_id)
    except _Failed as failure:
        log.exception("stack %s could not be deleted", name_or_stack_id)
        stack = next(s for s in stacks.values() if name_or_stack_id in {s.name, s.stack_id})
        backend.stacks[stack.stack_id] = stack
        _record(stack, failure, "DELETE_FAILED")
        stack._add_stack_event("DELETE_FAILED", resource_status_reason=str(failure))
        stack.status = "DELETE_FAILED"


def _resolve_parameters(
    original: Callable[..., Any], backend: Any, instance: Any, incoming_params: list[Any]
) -> Any:
    """Let a parameter keep its default in an update; moto knows only values that were passed."""
    known = [
        parameter
        for parameter in incoming_params
        if not parameter.get("UsePreviousValue") or parameter["ParameterKey"] in instance.parameters
    ]
    return original(backend, instance=instance, incoming_params=known)


def _delete_for_good(original: Callable[[Any], None], stack: Any) -> None:
    original(stack)
    _forget_resources(stack)


def _forget_resources(stack: Any) -> None:
    """Keep moto from making a resource again when a client asks what the stack had."""
    stack.resource_map._resource_json_map = {}
    stack.output_map._output_json_map = {}


def _checked(original: Callable[..., Any], backend: Any, *args: Any, **request: Any) -> Any:
    _refuse_unsupported(request["template"])
    return original(backend, *args, **request)


def _constant(value: str) -> Any:
    return staticmethod(lambda: value)


def _references(definition: Any) -> set[str]:
    """Return the logical ids that a resource's definition refers to."""
    if isinstance(definition, list):
        return set().union(*map(_references, definition)) if definition else set()
    if not isinstance(definition, dict):
        return set()
    found = set()
    for name, value in definition.items():
        if name == "Ref":
            found.add(value)
        elif name == "DependsOn":
            found |= {value} if isinstance(value, str) else set(value)
        elif name == "Fn::GetAtt":
            found.add(value[0] if isinstance(value, list) else str(value).split(".")[0])
        elif name == "Fn::Sub":
            text = value if isinstance(value, str) else value[0]
            found |= {part.split("}")[0].split(".")[0] for part in text.split("${")[1:]}
            found |= set() if isinstance(value, str) else _references(value[1])
        else:
            found |= _references(value)
    return found
