"""The bundles of a system: registered, published, champion; and naming another champion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from listening.errors import ResourceError
from listening.resources import ENDPOINT, target_model
from listening.systems import SYSTEMS
from ops import store
from ops.connection import explained

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_sagemaker.type_defs import DescribeModelPackageOutputTypeDef

    from ops.connection import Connection


@dataclass(frozen=True, kw_only=True)
class RegisteredBundle:
    """A bundle that training assembled.

    Parameters
    ----------
    version
        The bundle's version.
    created
        When it was last registered.
    registrations
        How often: once for each training run that ended with this very bundle.
    decision
        What the gate said last: ``Approved`` or ``Rejected``.
    reasons
        Why.
    published
        Whether the endpoint can answer with it.
    champion
        Whether it is the one that answers unless another is named.
    synthetic
        Whether it was trained on invented listeners.
    metrics
        Those that its gate looks at, on its test split.
    """

    version: str
    created: datetime
    registrations: int
    decision: str
    reasons: str
    published: bool
    champion: bool
    synthetic: bool
    metrics: dict[str, float]


def champions(connection: Connection) -> dict[str, str]:
    """Return the champion's bundle version of each system that the environment has.

    Raises
    ------
    ResourceError
        It has none.
    """
    names = connection.names
    path = names.champion_parameters()
    with explained(f"reading the champions ({path})"):
        pages = connection.ssm.get_paginator("get_parameters_by_path").paginate(
            Path=path, Recursive=True
        )
        found = {one["Name"]: one["Value"] for page in pages for one in page["Parameters"]}
    parameters = {system: names.of(system).champion_parameter for system in SYSTEMS}
    there = {system: found[name] for system, name in parameters.items() if name in found}
    if not there:
        raise ResourceError(
            f"no system has a champion under {path} in region {connection.region}; "
            "is this environment deployed?"
        )
    return there


def champion(connection: Connection, system: str) -> str:
    """Return the champion's bundle version.

    Raises
    ------
    ResourceError
        The environment does not have the system.
    """
    name = connection.names.of(system).champion_parameter
    with explained(f"reading the champion ({name})"):
        return connection.ssm.get_parameter(Name=name)["Parameter"]["Value"]


def published_versions(connection: Connection, system: str) -> list[str]:
    """Return the bundle versions that the endpoint can answer with."""
    prefix = f"{ENDPOINT}{system}/"
    keys = set(store.list_keys(connection, connection.names.models_bucket, prefix))
    versions = {key.removeprefix(prefix).partition("/")[0] for key in keys}
    return sorted(v for v in versions if f"{ENDPOINT}{target_model(system, v)}" in keys)


def registered_bundles(connection: Connection, system: str) -> list[RegisteredBundle]:
    """Return all bundles of a system that were ever assembled, newest first.

    A version is a hash of the bundle's content, so training on the same features registers the same
    version again, each time with what the gate said beside the champion of that day.
    """
    answering = champion(connection, system)
    published = set(published_versions(connection, system))
    packages: dict[str, list[DescribeModelPackageOutputTypeDef]] = {}
    for package in _model_packages(connection, system):
        version = package.get("CustomerMetadataProperties", {}).get("bundle_version", "")
        packages.setdefault(version, []).append(package)
    bundles = []
    for version, registered in packages.items():
        last = max(registered, key=lambda package: package["CreationTime"])
        properties = last.get("CustomerMetadataProperties", {})
        bundles.append(
            RegisteredBundle(
                version=version,
                created=last["CreationTime"],
                registrations=len(registered),
                decision=last.get("ModelApprovalStatus", ""),
                reasons=last.get("ApprovalDescription", ""),
                published=version in published,
                champion=version == answering,
                synthetic=properties.get("synthetic") == "true",
                metrics={
                    metric.name: float(properties[metric.name])
                    for metric in SYSTEMS[system].gate.metrics
                    if metric.name in properties
                },
            )
        )
    return sorted(bundles, key=lambda bundle: bundle.created, reverse=True)


def _model_packages(connection: Connection, system: str) -> list[DescribeModelPackageOutputTypeDef]:
    group = connection.names.of(system).model_package_group
    with explained(f"listing the model packages of {group}"):
        pages = connection.sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=group
        )
        arns = [p["ModelPackageArn"] for page in pages for p in page["ModelPackageSummaryList"]]
        return [connection.sagemaker.describe_model_package(ModelPackageName=arn) for arn in arns]


def promote(connection: Connection, version: str, *, system: str) -> str:
    """Make a published bundle the champion, and return the previous one.

    Raises
    ------
    ResourceError
        The bundle is not published.
    """
    published = published_versions(connection, system)
    if version not in published:
        refused = [b for b in registered_bundles(connection, system) if b.version == version]
        why = f"the gate refused it ({refused[0].reasons})" if refused else "there is no such one"
        raise ResourceError(
            f"bundle {version} of {system} is not published: {why}; "
            f"published are {', '.join(published)}"
        )
    previous = champion(connection, system)
    _name_champion(connection, version, system=system)
    return previous


def rollback(connection: Connection, system: str) -> tuple[str, str]:
    """Make the previous champion the champion again; return the one left and the new one.

    Raises
    ------
    ResourceError
        There was none, or its archive is gone.
    """
    name = connection.names.of(system).champion_parameter
    with explained(f"reading the history of {name}"):
        pages = connection.ssm.get_paginator("get_parameter_history").paginate(Name=name)
        history = [entry for page in pages for entry in page["Parameters"]]
    history.sort(key=lambda entry: entry["Version"], reverse=True)
    versions = [str(entry["Value"]) for entry in history]
    current = versions[0]
    previous = next((version for version in versions if version != current), None)
    if previous is None:
        raise ResourceError(f"there was no champion before {current}, so none to go back to")
    if previous not in published_versions(connection, system):
        raise ResourceError(
            f"the champion before {current} was {previous}, whose archive is gone; "
            "`listening models list` shows which are there"
        )
    _name_champion(connection, previous, system=system)
    return current, previous


def _name_champion(connection: Connection, version: str, *, system: str) -> None:
    name = connection.names.of(system).champion_parameter
    with explained(f"writing {name}"):
        connection.ssm.put_parameter(Name=name, Value=version, Type="String", Overwrite=True)
