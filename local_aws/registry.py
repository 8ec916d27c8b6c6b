"""SageMaker's model registry: an update keeps what it does not name, as on AWS.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from moto.sagemaker.models import SageMakerModelBackend, sagemaker_backends

from local_aws.runtime import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local_aws.patching import Patches

KEPT = ("approval_description", "customer_metadata_properties", "model_approval_status")
REQUEST = tuple(signature(SageMakerModelBackend.create_model_package).parameters)[3:]
"""What a model package is made from, but its own and its group's name."""
HISTORY = ("creation_time", "last_modified_time", "last_modified_by", "approval_description")


class RegistryService:
    """Sets the hook."""

    def install(self, patches: Patches) -> None:
        """Let an update of a model package keep what it leaves out."""
        patches.wrap(SageMakerModelBackend, "update_model_package", _update)


def _update(
    original: Callable[..., str], backend: Any, model_package_arn: str, **request: Any
) -> str:
    package = backend.describe_model_package(model_package_arn)
    for field in KEPT:
        if request.get(field) is None:
            request[field] = getattr(package, field)
    return original(backend, model_package_arn=model_package_arn, **request)


def save() -> Iterator[dict[str, Any]]:
    """Return all model packages."""
    for package in sagemaker_backends[ACCOUNT][REGION].model_packages.values():
        fields = {field: getattr(package, field) for field in (*REQUEST, *HISTORY)}
        yield {"group": package.model_package_group_name, **fields}


def restore(record: dict[str, Any]) -> None:
    """Bring a model package back if its group is there."""
    backend = sagemaker_backends[ACCOUNT][REGION]
    if record["group"] not in backend.model_package_groups:
        return
    arn = backend.create_model_package(
        model_package_name=None,
        model_package_group_name=record["group"],
        **{field: record[field] for field in REQUEST},
    )
    for field in HISTORY:
        setattr(backend.model_packages[arn], field, record[field])
