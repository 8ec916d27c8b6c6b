"""SageMaker's model registry: an update keeps what it does not name, as on AWS.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.sagemaker.models import SageMakerModelBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_aws.patching import Patches

KEPT = ("approval_description", "customer_metadata_properties", "model_approval_status")


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
