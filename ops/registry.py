"""The bundles of an environment: registered, published, champion; and naming another champion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from listening.errors import ResourceError
from ops import store
from ops.connection import explained
from ops.country.client import CountryClient

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
        On its test split.
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


def registered_bundles(connection: Connection) -> list[RegisteredBundle]:
    """Return all bundles that were ever assembled, newest first.

    A version is a hash of the bundle's content, so training on the same features registers the same
    version again, each time with what the gate said beside the champion of that day.
    """
    champion = CountryClient(connection).champion()
    published = set(store.published_versions(connection))
    packages: dict[str, list[DescribeModelPackageOutputTypeDef]] = {}
    for package in _model_packages(connection):
        version = package.get("CustomerMetadataProperties", {}).get("bundle_version", "")
        packages.setdefault(version, []).append(package)
    bundles = []
    for version, registered in packages.items():
        last = max(registered, key=lambda package: package["CreationTime"])
        properties = dict(last.get("CustomerMetadataProperties", {}))
        properties.pop("bundle_version", None)
        synthetic = properties.pop("synthetic", "false") == "true"
        bundles.append(
            RegisteredBundle(
                version=version,
                created=last["CreationTime"],
                registrations=len(registered),
                decision=last.get("ModelApprovalStatus", ""),
                reasons=last.get("ApprovalDescription", ""),
                published=version in published,
                champion=version == champion,
                synthetic=synthetic,
                metrics={name: float(value) for name, value in properties.items()},
            )
        )
    return sorted(bundles, key=lambda bundle: bundle.created, reverse=True)


def _model_packages(connection: Connection) -> list[DescribeModelPackageOutputTypeDef]:
    group = connection.names.model_package_group
    with explained(f"listing the model packages of {group}"):
        pages = connection.sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=group
        )
        arns = [p["ModelPackageArn"] for page in pages for p in page["ModelPackageSummaryList"]]
        return [connection.sagemaker.describe_model_package(ModelPackageName=arn) for arn in arns]


def promote(connection: Connection, version: str) -> str:
    """Make a published bundle the champion, and return the previous one.

    Raises
    ------
    ResourceError
        The bundle is not published.
    """
    published = store.published_versions(connection)
    if version not in published:
        refused = [b for b in registered_bundles(connection) if b.version == version]
        why = f"the gate refused it ({refused[0].reasons})" if refused else "there is no such one"
        raise ResourceError(
            f"bundle {version} is not published: {why}; published are {', '.join(published)}"
        )
    previous = CountryClient(connection).champion()
    _name_champion(connection, version)
    return previous


def rollback(connection: Connection) -> tuple[str, str]:
    """Make the previous champion the champion again; return the one left and the new one.

    Raises
    ------
    ResourceError
        There was none, or its archive is gone.
    """
    name = connection.names.champion_parameter
    with explained(f"reading the history of {name}"):
        pages = connection.ssm.get_paginator("get_parameter_history").paginate(Name=name)
        history = [entry for page in pages for entry in page["Parameters"]]
    history.sort(key=lambda entry: entry["Version"], reverse=True)
    champions = [str(entry["Value"]) for entry in history]
    current = champions[0]
    previous = next((version for version in champions if version != current), None)
    if previous is None:
        raise ResourceError(f"there was no champion before {current}, so none to go back to")
    if previous not in store.published_versions(connection):
        raise ResourceError(
            f"the champion before {current} was {previous}, whose archive is gone; "
            "`listening models list` shows which are there"
        )
    _name_champion(connection, previous)
    return current, previous


def _name_champion(connection: Connection, version: str) -> None:
    name = connection.names.champion_parameter
    with explained(f"writing {name}"):
        connection.ssm.put_parameter(Name=name, Value=version, Type="String", Overwrite=True)
