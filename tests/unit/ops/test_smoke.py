from __future__ import annotations

import io
import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from listening.errors import ResourceError
from ops import smoke
from ops.cli.app import app
from ops.connection import Connection

if TYPE_CHECKING:
    from conftest import Aws

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
MACHINE = {
    "States": {
        "Train": {
            "Arguments": {
                "ResourceConfig": {"InstanceType": "ml.m5.2xlarge", "InstanceCount": 2},
            }
        },
        "Countries": {
            "Type": "Map",
            "MaxConcurrency": 4,
            "ItemProcessor": {"Arguments": {"ResourceConfig": {"InstanceType": "ml.m5.xlarge"}}},
        },
    }
}
WANTED = {
    "ml.m5.2xlarge for training job usage": 2,
    "ml.m5.xlarge for training job usage": 4,
    "ml.m5.large for endpoint usage": 1,
}


class Service:
    """Stands for services that moto has not: every operation gives its prepared answer."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def get_paginator(self, operation: str) -> Service:
        return Service(paginate=[self._answers[operation]])

    def __getattr__(self, operation: str) -> Any:
        return lambda **_: self._answers[operation]


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> dict[str, Service]:
    """Answer for the services of the cheap checks; a test may replace one."""
    there = {
        "sts": Service(
            get_caller_identity={"Arn": "arn:aws:sts::123456789012:assumed-role/Admin/me"}
        ),
        "iam": Service(
            simulate_principal_policy={
                "EvaluationResults": [
                    {"EvalActionName": action, "EvalDecision": "allowed"}
                    for action in smoke.ACTIONS
                ]
            }
        ),
        "ssm": Service(
            get_parameters_by_path={
                "Parameters": [{"Name": "/listening/dev/country/champion", "Value": "prior"}]
            }
        ),
        "stepfunctions": Service(describe_state_machine={"definition": json.dumps(MACHINE)}),
        "sagemaker": Service(
            describe_endpoint={
                "EndpointConfigName": "c",
                "ProductionVariants": [
                    {"DeployedImages": [{"SpecifiedImage": f"{REGISTRY}/listening:1"}]}
                ],
            },
            describe_endpoint_config={
                "ProductionVariants": [{"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}]
            },
        ),
        "service-quotas": Service(
            list_service_quotas={
                "Quotas": [{"QuotaName": name, "Value": n} for name, n in WANTED.items()]
            }
        ),
        "ecr": Service(
            batch_get_image={
                "images": [{"imageManifest": json.dumps({"config": {"digest": "sha256:c"}})}]
            },
            get_download_url_for_layer={"downloadUrl": "https://blob"},
        ),
    }
    monkeypatch.setattr(Connection, "client", lambda _, service: there[service])
    return there


def blob_with(monkeypatch: pytest.MonkeyPatch, labels: dict[str, str]) -> None:
    content = json.dumps({"config": {"Labels": labels}}).encode()
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(content))


@pytest.fixture
def connection(aws: Aws, services: dict[str, Service]) -> Connection:
    """Return a connection that has asked no service yet."""
    return Connection(aws.connection.session, "dev")


def test_a_session_is_simulated_as_its_role(
    connection: Connection, services: dict[str, Service]
) -> None:
    assert (
        smoke.policy_source("arn:aws:sts::1:assumed-role/Admin/me") == "arn:aws:iam::1:role/Admin"
    )
    assert smoke.policy_source("arn:aws:iam::1:user/me") == "arn:aws:iam::1:user/me"
    assert "may do all 19 actions" in smoke.permissions(connection)


def test_what_is_denied_is_named(connection: Connection, services: dict[str, Service]) -> None:
    results = [
        {"EvalActionName": "s3:PutObject", "EvalDecision": "implicitDeny"},
        {"EvalActionName": "s3:GetObject", "EvalDecision": "allowed"},
    ]
    services["iam"] = Service(simulate_principal_policy={"EvaluationResults": results})
    with pytest.raises(ResourceError, match=r"Admin/me may not s3:PutObject on every resource"):
        smoke.permissions(connection)


def test_quotas_are_those_of_what_is_deployed(
    connection: Connection, services: dict[str, Service]
) -> None:
    assert smoke.wanted_instances(connection) == WANTED
    assert smoke.quotas(connection).startswith("2 ml.m5.2xlarge for training job")
    services["service-quotas"] = Service(list_service_quotas={"Quotas": []})
    with pytest.raises(ResourceError, match=r"'ml.m5.large for endpoint usage' is 0, needed are 1"):
        smoke.quotas(connection)


def test_labels_come_from_the_registry(
    connection: Connection, services: dict[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    blob_with(monkeypatch, dict.fromkeys(smoke.LABELS, "true"))
    assert smoke.image(connection) == f"{REGISTRY}/listening:1"
    blob_with(monkeypatch, {smoke.LABELS[0]: "true"})
    with pytest.raises(ResourceError, match=r"no label .*accept-bind-to-port=true"):
        smoke.image(connection)


def test_what_is_not_deployed_fails_and_all_is_tried(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.answer()
    real = Connection.client
    without = Service(simulate_principal_policy={"EvaluationResults": []})
    monkeypatch.setattr(  # moto has no such operation
        Connection, "client", lambda self, name: without if name == "iam" else real(self, name)
    )
    result = CliRunner().invoke(app, ["smoke", "--json", "--profile", "work", "--env", "dev"])
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    found = {check["name"]: check for check in json.loads(result.stdout)}
    assert list(found) == list(smoke.CHECKS)
    assert found["country: one invocation"]["state"] == "ok"
    assert "Iceland" in found["country: one invocation"]["detail"]
    assert found["stacks"]["state"] == "failed"
    assert "listening-dev-data" in found["stacks"]["detail"]
    assert found["country: one tiny run"]["state"] == "failed"


def test_a_system_that_is_not_deployed_is_not_tried(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke.registry, "champions", lambda _: {"other": "prior"})
    found = dict(smoke.checks(aws.connection))["country: one invocation"]()
    assert (found.state, found.detail) == ("skipped", "environment dev has no system country")
