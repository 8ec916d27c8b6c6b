"""What an owner does with the stacks: deploy, deploy again, change an argument, destroy."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ops.cdk import project_root
from ops.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ops.connection import Connection

pytestmark = pytest.mark.integration

FEATURES = "listening-local-country-features"
STACKS = {
    "listening-local-api",
    "listening-local-data",
    "listening-local-monitoring",
    "listening-local-serving",
    "listening-local-country-training",
    FEATURES,
}
JOB = "listening-local-country-embeddings"
ARGUMENT, VALUE = "--dimensions", "32"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Return an emulator that no other test looks at, for this one takes its stacks away."""
    emulator = Emulator(project_root(), tmp_path_factory.mktemp("cycle") / "state")
    emulator.up(print, stays=False)
    yield emulator
    emulator.down()


@pytest.fixture(scope="module")
def deployed(own: Emulator) -> Connection:
    return own.connection()


APP = """
from aws_cdk import aws_glue as glue

from infra.application import build, cdk
from infra.settings import load_settings

app = cdk.App()
build(app, load_settings("local"))
jobs = [node for node in app.node.find_all() if isinstance(node, glue.CfnJob)]
[job] = [job for job in jobs if job.name == "{job}"]
job.add_property_override("DefaultArguments.{argument}", "{value}")
app.synth()
"""


@pytest.fixture(scope="module")
def changed(own: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthesise the app with one more argument of one Glue job."""
    folder = tmp_path_factory.mktemp("changed")
    app, assembly = folder / "app.py", folder / "assembly"
    app.write_text(APP.format(job=JOB, argument=ARGUMENT, value=VALUE))
    own.cdk(own.connection())(
        *("synth", "--quiet", "--output", str(assembly), "--app", f"{sys.executable} {app}")
    )
    return assembly


def deploy(emulator: Emulator, assembly: Path) -> set[str]:
    """Deploy and return the stacks that had no changes."""
    emulator.cdk(emulator.connection())(
        *("deploy", "--all", "--require-approval", "never", "--method=direct"),
        *("--app", str(assembly)),
    )
    log = emulator.deploy_log.read_text()
    return {stack for stack in STACKS if f"{stack} (no changes)" in log}


def test_a_second_deployment_changes_nothing(own: Emulator, deployed: Connection) -> None:
    stacks = deployed.cloudformation.describe_stacks()["Stacks"]
    names = {stack["StackName"]: stack["StackStatus"] for stack in stacks}
    assert {names[stack] for stack in STACKS} == {"CREATE_COMPLETE"}
    assert deploy(own, own.state / "cdk.out") == STACKS


def test_the_function_of_the_api_answers(deployed: Connection) -> None:
    request = {
        "rawPath": "/country/champion",
        "requestContext": {
            "http": {"method": "GET", "path": "/country/champion"},
            "requestId": "one",
            "stage": "$default",
        },
        "headers": {},
    }
    function = "listening-local-api"
    answer = client(deployed, "lambda").invoke(
        FunctionName=function, Payload=json.dumps(request).encode()
    )
    told = json.loads(answer["Payload"].read())
    assert (told["statusCode"], json.loads(told["body"])) == (200, {"bundle_version": "prior"})


def test_a_changed_argument_changes_its_job_and_no_other_stack(
    own: Emulator, deployed: Connection, changed: Path
) -> None:
    glue = deployed.glue

    def arguments(job: str) -> dict[str, str]:
        return dict(glue.get_job(JobName=job)["Job"]["DefaultArguments"])

    before = {job: arguments(job) for job in glue.list_jobs()["JobNames"]}
    assert deploy(own, changed) == STACKS - {FEATURES}
    after = {job: arguments(job) for job in before}
    assert after.pop(JOB) == before.pop(JOB) | {ARGUMENT: VALUE}
    assert after == before


def test_destroy_leaves_what_retention_keeps(
    own: Emulator,
    deployed: Connection,
    changed: Path,
    processes_of: Callable[[Path], list[str]],
) -> None:
    kept = retained(changed)
    assert any("inference.serve" in line for line in processes_of(own.state))
    own.cdk(deployed)("destroy", "--all", "--force", "--app", str(changed))

    stacks = deployed.cloudformation.describe_stacks()["Stacks"]
    assert [stack["StackName"] for stack in stacks] == ["CDKToolkit"]
    assert remains(deployed) == {
        "AWS::KMS::Key": kept["AWS::KMS::Key"],
        "AWS::Logs::LogGroup": kept["AWS::Logs::LogGroup"],
        "AWS::S3::Bucket": kept["AWS::S3::Bucket"],
        "AWS::SageMaker::ModelPackageGroup": kept["AWS::SageMaker::ModelPackageGroup"],
    }
    assert not any("inference.serve" in line for line in processes_of(own.state))


def client(connection: Connection, service: str) -> Any:
    return connection.session.client(
        service, endpoint_url=connection.endpoint_url, region_name=connection.region
    )


def retained(assembly: Path) -> dict[str, int]:
    """Return how many resources of a type the templates keep when their stack goes."""
    counts: dict[str, int] = {}
    for file in assembly.glob("*.template.json"):
        for resource in json.loads(file.read_text())["Resources"].values():
            if resource.get("DeletionPolicy") == "Retain":
                counts[resource["Type"]] = counts.get(resource["Type"], 0) + 1
    return counts


def remains(connection: Connection) -> dict[str, int]:
    """Return how many resources of the project there are, by type."""
    aws = partial(client, connection)
    ours: dict[str, list[Any]] = {
        "AWS::Events::Rule": aws("events").list_rules()["Rules"],
        "AWS::Glue::Database": aws("glue").get_databases()["DatabaseList"],
        "AWS::Glue::Job": aws("glue").list_jobs()["JobNames"],
        "AWS::Glue::Trigger": aws("glue").get_triggers()["Triggers"],
        "AWS::Glue::Workflow": aws("glue").list_workflows()["Workflows"],
        "AWS::IAM::Role": [
            role
            for role in aws("iam").list_roles()["Roles"]
            if role["RoleName"].startswith("listening")
        ],
        "AWS::KMS::Key": aws("kms").list_keys()["Keys"],
        "AWS::Lambda::Function": aws("lambda").list_functions()["Functions"],
        "AWS::Logs::LogGroup": [
            group
            for group in aws("logs").describe_log_groups()["logGroups"]
            # SageMaker's own, one for all stacks of an account
            if not group["logGroupName"].startswith("/aws/sagemaker/")
        ],
        "AWS::S3::Bucket": [
            bucket
            for bucket in aws("s3").list_buckets()["Buckets"]
            if bucket["Name"].startswith("listening")
        ],
        "AWS::SNS::Topic": aws("sns").list_topics()["Topics"],
        "AWS::SSM::Parameter": aws("ssm").get_parameters_by_path(Path="/listening", Recursive=True)[
            "Parameters"
        ],
        "AWS::SageMaker::Endpoint": aws("sagemaker").list_endpoints()["Endpoints"],
        "AWS::SageMaker::EndpointConfig": aws("sagemaker").list_endpoint_configs()[
            "EndpointConfigs"
        ],
        "AWS::SageMaker::Model": aws("sagemaker").list_models()["Models"],
        "AWS::SageMaker::ModelPackageGroup": aws("sagemaker").list_model_package_groups()[
            "ModelPackageGroupSummaryList"
        ],
        "AWS::StepFunctions::StateMachine": aws("stepfunctions").list_state_machines()[
            "stateMachines"
        ],
    }
    return {kind: len(found) for kind, found in ours.items() if found}
