"""The CloudFormation types that moto lacks or makes only in part.

Moto finds a type through the direct subclasses of its `CloudFormationModel`, so each type is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from moto.core.common_models import CloudFormationModel
from moto.glue.models import GlueBackend, glue_backends
from moto.glue.utils import Action, Predicate
from moto.kms.models import Key
from moto.s3.models import FakeBucket, s3_backends
from moto.sagemaker.exceptions import ConflictException
from moto.sagemaker.models import SageMakerModelBackend, sagemaker_backends

from local_aws.glue_records import JOB_FIELDS, update_job

if TYPE_CHECKING:
    from local_aws.patching import Patches

Properties = Mapping[str, Any]


class _Resource:
    """What every type below shares: a physical name, attributes, and the class methods' shape."""

    kind: ClassVar[str]
    name_property: ClassVar[str] = "Name"

    def __init__(self, name: str, attributes: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._attributes = dict(attributes or {})

    @property
    def physical_resource_id(self) -> str:
        return self.name

    def get_cfn_attribute(self, attribute: str) -> str:
        return self._attributes.get(attribute, self.name)

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        del attr
        return True

    def is_created(self) -> bool:
        return True

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.kind

    @classmethod
    def cloudformation_name_type(cls) -> str:
        return cls.name_property

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> Any:
        return cls._make(resource_name, cloudformation_json["Properties"], account_id, region_name)

    @classmethod
    def update_from_cloudformation_json(  # noqa: PLR0913  (moto's interface)
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        properties = cloudformation_json["Properties"]
        name = properties.get(cls.name_property, original_resource.name)
        if name != original_resource.name:
            replacement = cls._make(name, properties, account_id, region_name)
            cls._remove(original_resource.name, account_id, region_name)
            return replacement
        return cls._change(original_resource, properties, account_id, region_name)

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
    ) -> None:
        del cloudformation_json
        cls._remove(resource_name, account_id, region_name)

    @classmethod
    def _make(cls, name: str, properties: Properties, account: str, region: str) -> Any:
        """Make the resource."""
        raise AttributeError(name)

    @classmethod
    def _change(cls, resource: Any, properties: Properties, account: str, region: str) -> Any:
        """Update the resource in place; by default it is made anew under the same name."""
        cls._remove(resource.name, account, region)
        return cls._make(resource.name, properties, account, region)

    @classmethod
    def _remove(cls, name: str, account: str, region: str) -> None:
        """Delete the resource."""


def _glue(account: str, region: str) -> GlueBackend:
    return glue_backends[account][region]


def _tags(properties: Properties) -> dict[str, str]:
    tags = properties.get("Tags") or {}
    if isinstance(tags, Mapping):
        return {name: str(value) for name, value in tags.items()}
    return {tag["Key"]: tag["Value"] for tag in tags}


class GlueJob(_Resource, CloudFormationModel):
    """A job, updated in place as on AWS."""

    kind = "AWS::Glue::Job"

    @classmethod
    def _make(cls, name: str, properties: Properties, account: str, region: str) -> Any:
        request: dict[str, Any] = {
            attribute: properties.get(field) for field, attribute in JOB_FIELDS.items()
        }
        _glue(account, region).create_job(
            name=name,
            **request,
            tags=_tags(properties),
            code_gen_configuration_nodes={},
            source_control_details={},
        )
        return cls(name)

    @classmethod
    def _change(cls, resource: Any, properties: Properties, account: str, region: str) -> Any:
        update_job(_glue(account, region).get_job(resource.name), properties)
        return resource

    @classmethod
    def _remove(cls, name: str, account: str, region: str) -> None:
        _glue(account, region).delete_job(name)


class GlueTrigger(_Resource, CloudFormationModel):
    """A trigger; an update makes it anew."""

    kind = "AWS::Glue::Trigger"

    @classmethod
    def _make(cls, name: str, properties: Properties, account: str, region: str) -> Any:
        predicate = properties.get("Predicate")
        _glue(account, region).create_trigger(
            name=name,
            workflow_name=properties.get("WorkflowName"),  # type: ignore[arg-type]
            trigger_type=properties["Type"],
            schedule=properties.get("Schedule"),  # type: ignore[arg-type]
            predicate=Predicate({"Logical": "AND", **predicate}) if predicate else None,
            actions=[Action(action) for action in properties["Actions"]],
            description=properties.get("Description", ""),
            start_on_creation=str(properties.get("StartOnCreation", False)).lower() == "true",
            tags=_tags(properties),
            event_batching_condition=properties.get("EventBatchingCondition", {}),
        )
        return cls(name)

    @classmethod
    def _remove(cls, name: str, account: str, region: str) -> None:
        _glue(account, region).delete_trigger(name)


class GlueWorkflow(_Resource, CloudFormationModel):
    """A workflow, whose runs outlive an update."""

    kind = "AWS::Glue::Workflow"

    @classmethod
    def _make(cls, name: str, properties: Properties, account: str, region: str) -> Any:
        _glue(account, region).create_workflow(
            name=name,
            default_run_properties=properties.get("DefaultRunProperties"),
            description=properties.get("Description"),
            max_concurrent_runs=properties.get("MaxConcurrentRuns"),
            tags=_tags(properties),
        )
        return cls(name)

    @classmethod
    def _change(cls, resource: Any, properties: Properties, account: str, region: str) -> Any:
        workflow = _glue(account, region).workflows[resource.name]
        workflow.default_run_properties = properties.get("DefaultRunProperties")
        workflow.description = properties.get("Description")
        workflow.max_concurrent_runs = properties.get("MaxConcurrentRuns")
        return resource

    @classmethod
    def _remove(cls, name: str, account: str, region: str) -> None:
        _glue(account, region).delete_workflow(name)


class GlueSecurityConfiguration(_Resource, CloudFormationModel):
    """A security configuration: a record only."""

    kind = "AWS::Glue::SecurityConfiguration"

    @classmethod
    def _make(cls, name: str, properties: Properties, account: str, region: str) -> Any:
        _glue(account, region).create_security_configuration(
            name, dict(properties["EncryptionConfiguration"])
        )
        return cls(name)

    @classmethod
    def _remove(cls, name: str, account: str, region: str) -> None:
        _glue(account, region).delete_security_configuration(name)


class GlueDatabase(_Resource, CloudFormationModel):
    """A database of the catalogue."""

    kind = "AWS::Glue::Database"
    name_property = "DatabaseName"

    @classmethod
    def _make(cls, name: str, properties: Properties, account: str, region: str) -> Any:
        given = dict(properties["DatabaseInput"])
        name = given.setdefault("Name", name.lower())
        _glue(account, region).create_database(name, given, _tags(properties))
        return cls(name)

    @classmethod
    def _change(cls, resource: Any, properties: Properties, account: str, region: str) -> Any:
        given = {"Name": resource.name, **properties["DatabaseInput"]}
        _glue(account, region).update_database(resource.name, given)
        return resource

    @classmethod
    def _remove(cls, name: str, account: str, region: str) -> None:
        _glue(account, region).delete_database(name)


class GlueTable(_Resource, CloudFormationModel):
    """A table of the catalogue: a record only, nothing queries it."""

    kind = "AWS::Glue::Table"
    name_property = ""

    @classmethod
    def _make(cls, name: str, properties: Properties, account: str, region: str) -> Any:
        given = dict(properties["TableInput"])
        name = given.setdefault("Name", name.lower())
        database = properties["DatabaseName"]
        _glue(account, region).create_table(database, name, given)
        made = cls(name)
        made.database = database
        return made

    database: str

    def delete(self, account_id: str, region_name: str) -> None:
        """Delete the table; moto prefers this to the class's own way, which lacks the database."""
        backend = _glue(account_id, region_name)
        if self.database in backend.databases:
            backend.delete_table(self.database, self.name)

    @classmethod
    def _change(cls, resource: Any, properties: Properties, account: str, region: str) -> Any:
        given = {"Name": resource.name, **properties["TableInput"]}
        _glue(account, region).update_table(resource.database, resource.name, given)
        return resource


class ModelPackageGroup(_Resource, CloudFormationModel):
    """A group of model packages, which outlive an update."""

    kind = "AWS::SageMaker::ModelPackageGroup"
    name_property = "ModelPackageGroupName"

    @classmethod
    def _make(cls, name: str, properties: Properties, account: str, region: str) -> Any:
        backend: SageMakerModelBackend = sagemaker_backends[account][region]
        arn = backend.create_model_package_group(
            name, properties.get("ModelPackageGroupDescription", ""), properties.get("Tags")
        )
        return cls(name, {"ModelPackageGroupArn": arn})

    @classmethod
    def _change(cls, resource: Any, properties: Properties, account: str, region: str) -> Any:
        group = sagemaker_backends[account][region].model_package_groups[resource.name]
        group.model_package_group_description = properties.get("ModelPackageGroupDescription", "")
        return resource

    @classmethod
    def _remove(cls, name: str, account: str, region: str) -> None:
        backend: SageMakerModelBackend = sagemaker_backends[account][region]
        if any(p.model_package_group_name == name for p in backend.model_packages.values()):
            # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteModelPackageGroup.html
            raise ConflictException(f"model package group {name} still holds model packages")
        backend.model_package_groups.pop(name, None)


class Ignored(_Resource):
    """A resource of a type that is safe to ignore: it has a name, and nothing else."""

    def get_cfn_attribute(self, attribute: str) -> str:
        """Return something that is clearly of no service."""
        return f"arn:aws:ignored:::{self.name}" if attribute.endswith("Arn") else self.name

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, *_: Any, **__: Any
    ) -> Ignored:
        """Take the name that the template gives, if it gives one."""
        kind = cloudformation_json["Type"].rsplit("::", 1)[-1]
        properties = cloudformation_json.get("Properties", {})
        return cls(properties.get(f"{kind}Name") or properties.get("Name") or resource_name)

    @classmethod
    def update_from_cloudformation_json(cls, original_resource: Any, *_: Any, **__: Any) -> Any:
        """Keep what there is."""
        return original_resource

    def delete(self, account_id: str, region_name: str) -> None:
        """Delete nothing."""


def install(patches: Patches) -> None:
    """Complete the types that moto makes only in part."""
    for operation in ("create_from_cloudformation_json", "update_from_cloudformation_json"):
        _complete_bucket(patches, operation)
    patches.wrap(Key, "create_from_cloudformation_json", _without_tags)


def _without_tags(
    original: Callable[..., Any], name: str, definition: Any, *a: Any, **k: Any
) -> Any:
    """Make a KMS key without its tags, whose form in templates moto misreads."""
    properties = {n: v for n, v in definition["Properties"].items() if n != "Tags"}
    return original(name, {**definition, "Properties": properties}, *a, **k)


def _complete_bucket(patches: Patches, operation: str) -> None:
    original: Callable[..., Any] = getattr(FakeBucket, operation)

    def completed(_cls: Any, *args: Any, **kwargs: Any) -> Any:
        bucket = original(*args, **kwargs)
        definition = kwargs.get("cloudformation_json") or args[1]
        configure_bucket(bucket, definition.get("Properties", {}))
        return bucket

    patches.replace(FakeBucket, operation, classmethod(completed))


def configure_bucket(bucket: Any, properties: Properties) -> None:
    """Apply versioning and the switch for EventBridge, which moto's bucket type leaves out."""
    backend = s3_backends[bucket.account_id]["aws"]
    status = properties.get("VersioningConfiguration", {}).get("Status")
    if status:
        backend.put_bucket_versioning(bucket.name, status)
    events = properties.get("NotificationConfiguration", {}).get("EventBridgeConfiguration")
    if events is not None and str(events.get("EventBridgeEnabled", True)).lower() == "true":
        bucket.set_notification_configuration({"EventBridgeConfiguration": {}})
