"""What a deployed environment is tried on: its stacks, rights, quotas and image; each system.

Each check says what it found. What the emulator does not have (rights, quotas, a registry) is
skipped there and says so; nothing is ever reported as checked that was not.
"""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from listening.errors import ListeningError, ResourceError
from ops import registry, runs
from ops.charts import checks as charts
from ops.churn import checks as churn
from ops.connection import explained
from ops.country import checks as country
from ops.sessions import checks as sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ops.connection import Connection

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
SHARED = ("data", "serving", "api", "monitoring")
EACH = ("features", "training")
"""Concerns that have a stack in an environment, and those that have one a system."""
LABELS = (
    "com.amazonaws.sagemaker.capabilities.multi-models",
    "com.amazonaws.sagemaker.capabilities.accept-bind-to-port",
)
"""Without these SageMaker refuses the image for a multi-model endpoint."""
ACTIONS = (
    "cloudformation:DescribeStacks",
    "glue:GetJobRun",
    "glue:GetWorkflowRun",
    "glue:StartJobRun",
    "glue:StartWorkflowRun",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "logs:GetLogEvents",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutObject",
    "sagemaker:DescribeModelPackage",
    "sagemaker:DescribeTrainingJob",
    "sagemaker:InvokeEndpoint",
    "ssm:GetParameter",
    "ssm:GetParametersByPath",
    "ssm:PutParameter",
    "states:DescribeExecution",
    "states:StartExecution",
)
"""What the command line's caller does; the roles of the jobs are the templates' business."""
DOWNLOAD_SECONDS = 30


class SkippedError(Exception):
    """There is no such thing here; says what."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a check found.

    Parameters
    ----------
    name
        What was checked.
    state
        `OK`, `FAILED` or `SKIPPED`.
    detail
        What was found, or what to do.
    """

    name: str
    state: str
    detail: str


def checks(connection: Connection) -> Iterator[tuple[str, Callable[[], Check]]]:
    """Yield the checks by name, cheap ones first; calling one makes it."""
    for name, look in CHECKS.items():
        yield name, partial(_checked, name, look, connection)


def _checked(name: str, look: Callable[[Connection], str], connection: Connection) -> Check:
    try:
        return Check(name=name, state=OK, detail=look(connection))
    except SkippedError as reason:
        return Check(name=name, state=SKIPPED, detail=str(reason))
    except ListeningError as error:
        return Check(name=name, state=FAILED, detail=str(error))


def stacks(connection: Connection) -> str:
    """Look whether every stack is deployed and none is in a failed state."""
    names = [connection.names.stack(concern) for concern in SHARED]
    for system in registry.champions(connection):
        names += [connection.names.of(system).stack(concern) for concern in EACH]
    for name in names:
        with explained(f"looking for stack {name}"):
            (stack,) = connection.cloudformation.describe_stacks(StackName=name)["Stacks"]
        state = stack["StackStatus"]
        if state not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise ResourceError(f"stack {name} is {state}; `listening deploy` says why")
    return f"{len(names)} stacks"


def permissions(connection: Connection) -> str:
    """Let IAM simulate what the caller's own policies allow."""
    if connection.is_local:
        raise SkippedError("the emulator checks no permissions")
    with explained("simulating the caller's permissions"):
        caller = connection.client("sts").get_caller_identity()["Arn"]
        pages = connection.client("iam").get_paginator("simulate_principal_policy")
        results = [
            result
            for page in pages.paginate(
                PolicySourceArn=policy_source(caller), ActionNames=list(ACTIONS)
            )
            for result in page["EvaluationResults"]
        ]
    denied = [r["EvalActionName"] for r in results if r["EvalDecision"] != "allowed"]
    if denied:
        raise ResourceError(f"{caller} may not {', '.join(denied)} on every resource")
    return f"{caller} may do all {len(results)} actions"


def policy_source(caller: str) -> str:
    """Return what IAM can simulate for a caller: of a session, its role."""
    if ":assumed-role/" not in caller:
        return caller
    head, _, rest = caller.replace(":sts:", ":iam:").partition(":assumed-role/")
    return f"{head}:role/{rest.partition('/')[0]}"


def quotas(connection: Connection) -> str:
    """Compare what the state machines and the endpoint ask for with SageMaker's quotas."""
    wanted = wanted_instances(connection)
    if connection.is_local:
        raise SkippedError(f"the emulator has no quotas; asked for are {_counted(wanted)}")
    with explained("listing SageMaker's quotas"):
        pages = connection.client("service-quotas").get_paginator("list_service_quotas")
        limits = {
            quota["QuotaName"]: float(quota["Value"])
            for page in pages.paginate(ServiceCode="sagemaker")
            for quota in page["Quotas"]
        }
    short = [
        f"'{name}' is {limits.get(name, 0):g}, needed are {count}"
        for name, count in wanted.items()
        if limits.get(name, 0) < count
    ]
    if short:
        raise ResourceError(f"{'; '.join(short)}: ask for more in Service Quotas, SageMaker")
    return _counted(wanted)


def wanted_instances(connection: Connection) -> Counter[str]:
    """Return how many instances are asked for at once, by the name of SageMaker's quota.

    Executions of one system wait for each other, those of two systems do not.
    """
    wanted: Counter[str] = Counter()
    systems = registry.champions(connection)
    with explained("reading what the state machines and the endpoint ask for"):
        machines = [
            connection.stepfunctions.describe_state_machine(
                stateMachineArn=runs.state_machine_arn(connection, system)
            )
            for system in systems
        ]
        endpoint = connection.sagemaker.describe_endpoint(EndpointName=connection.names.endpoint)
        config = connection.sagemaker.describe_endpoint_config(
            EndpointConfigName=endpoint["EndpointConfigName"]
        )
    for machine in machines:
        most: Counter[str] = Counter()
        for instance, count in _training_jobs(json.loads(machine["definition"]), at_once=1):
            quota = f"{instance} for training job usage"
            most[quota] = max(most[quota], count)
        wanted += most
    for variant in config["ProductionVariants"]:
        wanted[f"{variant['InstanceType']} for endpoint usage"] += variant["InitialInstanceCount"]
    return wanted


def _training_jobs(states: Any, *, at_once: int) -> Iterator[tuple[str, int]]:
    """Yield instance type and instances at once of every job in a definition."""
    match states:
        case {"ResourceConfig": {"InstanceType": str(instance)} as resources}:
            yield instance, int(resources.get("InstanceCount", 1)) * at_once
        case dict():
            many = int(states.get("MaxConcurrency") or at_once)
            for value in states.values():
                yield from _training_jobs(value, at_once=many)
        case list():
            for value in states:
                yield from _training_jobs(value, at_once=at_once)


def _counted(wanted: Counter[str]) -> str:
    return ", ".join(f"{count} {name.partition(' usage')[0]}" for name, count in wanted.items())


def image(connection: Connection) -> str:
    """Read the labels of the endpoint's image from its registry."""
    if connection.is_local:
        raise SkippedError("the emulator has no registry: it serves the Dockerfile's folders")
    names = connection.names
    with explained("reading the endpoint's image"):
        endpoint = connection.sagemaker.describe_endpoint(EndpointName=names.endpoint)
        deployed = endpoint["ProductionVariants"][0]["DeployedImages"][0]
        uri = deployed.get("ResolvedImage") or deployed["SpecifiedImage"]
    missing = [label for label in LABELS if image_labels(connection, uri).get(label) != "true"]
    if missing:
        raise ResourceError(f"image {uri} has no label {' and '.join(missing)}=true; build it anew")
    return uri


def image_labels(connection: Connection, uri: str) -> dict[str, str]:
    """Return an image's labels, which stand in the configuration that its manifest names."""
    registry, _, path = uri.partition("/")
    repository, by_digest, digest = path.partition("@")
    name, _, tag = repository.partition(":")
    where = {"registryId": registry.partition(".")[0], "repositoryName": name}
    ecr = connection.client("ecr")
    with explained(f"reading the manifest of {uri}"):
        answer = ecr.batch_get_image(
            **where, imageIds=[{"imageDigest": digest} if by_digest else {"imageTag": tag}]
        )
        if not answer["images"]:
            raise ResourceError(f"image {uri} is not in its repository; deploy again")
        manifest = json.loads(answer["images"][0]["imageManifest"])
        if "manifests" in manifest:  # an index of platforms; its first is the image
            return image_labels(
                connection, f"{registry}/{name}@{manifest['manifests'][0]['digest']}"
            )
        url = ecr.get_download_url_for_layer(**where, layerDigest=manifest["config"]["digest"])
    with urllib.request.urlopen(url["downloadUrl"], timeout=DOWNLOAD_SECONDS) as blob:
        return dict(json.load(blob).get("config", {}).get("Labels") or {})


def _of_system(system: str, look: Callable[[Connection], str], connection: Connection) -> str:
    if system not in registry.champions(connection):
        raise SkippedError(f"environment {connection.environment} has no system {system}")
    return look(connection)


OF_SYSTEMS = {
    "country": country.CHECKS,
    "sessions": sessions.CHECKS,
    "churn": churn.CHECKS,
    "charts": charts.CHECKS,
}
"""By system, what it is tried on; one that is missing here has no small check."""

CHECKS: dict[str, Callable[[Connection], str]] = {
    "stacks": stacks,
    "permissions": permissions,
    "quotas": quotas,
    "image labels": image,
    **{
        f"{system}: {name}": partial(_of_system, system, look)
        for system, looks in OF_SYSTEMS.items()
        for name, look in looks.items()
    },
}
