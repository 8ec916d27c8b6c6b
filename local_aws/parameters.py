"""SSM's parameters, which moto keeps as AWS does: their state on disk, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.ssm.models import ssm_backends

from local_aws.runtime import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator


def save() -> Iterator[dict[str, Any]]:
    """Return the parameters with their history, without those of CDK's bootstrap."""
    kept = _backend()._parameters
    for name in list(kept):
        if name.startswith("/cdk-bootstrap/"):
            continue
        versions = kept[name]
        yield {
            "name": name,
            "type": versions[-1].parameter_type,
            "values": [version.value for version in versions],
            "modified": [version.last_modified_date for version in versions],
        }


def restore(record: dict[str, Any]) -> None:
    """Bring a parameter back in place of what a deployment made of it."""
    backend = _backend()
    backend._parameters.pop(record["name"], None)
    for value, modified in zip(record["values"], record["modified"], strict=True):
        backend.put_parameter(
            name=record["name"],
            description="",
            value=value,
            parameter_type=record["type"],
            allowed_pattern="",
            keyid="",
            overwrite=True,
            tags=[],
            data_type="text",
            tier=None,
            policies=None,
        )
        backend._parameters[record["name"]][-1].last_modified_date = modified


def _backend() -> Any:
    return ssm_backends[ACCOUNT][REGION]
