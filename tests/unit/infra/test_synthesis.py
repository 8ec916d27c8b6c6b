"""The app synthesises every environment, clean and the same each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from infra import application
from infra.application import build, cdk
from infra.constructs.permissions import allow
from infra.settings import SettingsError, load_settings
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
CONCERNS = sorted(
    ["api", "data", "monitoring", "serving"]
    + [f"{system}-{concern}" for system in SYSTEMS for concern in ("features", "training")]
)


@pytest.mark.parametrize(
    ("name", "concerns"),
    [
        ("local", CONCERNS),
        ("dev", CONCERNS),
        ("staging", CONCERNS),
        ("prod", sorted([*CONCERNS, "network"])),
    ],
)
def test_an_environment_has_a_stack_for_each_concern(
    environment: Callable[[str], Any], name: str, concerns: list[str]
) -> None:
    assert sorted(environment(name).templates) == concerns


@pytest.mark.process
def test_two_syntheses_are_identical_without_network_and_credentials(
    local: Any, tmp_path: Path
) -> None:
    isolated = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*isolated, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let a program cut itself off the network")
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    subprocess.run(
        [*isolated, sys.executable, "app.py"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "CDK_OUTDIR": str(tmp_path),
            "CDK_CONTEXT_JSON": json.dumps(context | {"env": "local"}),
        },
        check=True,
    )
    files = {file.name for file in local.folder.iterdir()}
    assert files == {file.name for file in tmp_path.iterdir()}
    for name in files:
        if (local.folder / name).is_file():
            assert (local.folder / name).read_bytes() == (tmp_path / name).read_bytes(), name


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_nothing_needs_a_look_up(environment: Callable[[str], Any], name: str) -> None:
    manifest = json.loads((environment(name).folder / "manifest.json").read_text())
    assert "missing" not in manifest
    stacks = [a for a in manifest["artifacts"].values() if a["type"] == "aws:cloudformation:stack"]
    assert {stack["environment"].split("/")[2] for stack in stacks} == {"unknown-account"}
    assert not any("stackTags" in stack for stack in stacks)


def test_a_finding_of_the_checker_stops_the_synthesis(
    tmp_path: Path, wheels: Path, new_app: Callable[..., cdk.App]
) -> None:
    app = new_app(tmp_path)
    build(app, load_settings("local"), wheels=wheels)
    stack = app.node.find_child("listening-local-data")
    s3.Bucket(stack, "Careless")
    with pytest.raises(RuntimeError, match="AwsSolutions-S1"):
        app.synth()


def test_a_wildcard_without_a_reason_is_refused() -> None:
    stack = cdk.Stack(cdk.App(), "stack")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
    with pytest.raises(ValueError, match=r"stack/Role: say why \['\*'\] need a wildcard"):
        allow(role, ["s3:GetObject"], ["*"])


def test_missing_wheels_name_the_command(tmp_path: Path, new_app: Callable[..., cdk.App]) -> None:
    with pytest.raises(SettingsError, match=r"holds no wheels .* run `make wheels` once"):
        build(new_app(tmp_path), load_settings("dev"), wheels=tmp_path / "none")


def test_the_app_says_which_environments_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="name the environment: -c env=local, dev"):
        application.main()
    app = cdk.App(context={"env": "qa"})
    monkeypatch.setattr(application.cdk, "App", lambda **_: app)
    with pytest.raises(SystemExit, match="no environment 'qa'"):
        application.main()


def test_environments_stand_beside_one_another(dev: Any, prod: Any) -> None:
    kinds = {
        "AWS::Lambda::Function": "FunctionName",
        "AWS::Glue::Job": "Name",
        "AWS::Glue::Trigger": "Name",
        "AWS::Events::Rule": "Name",
        "AWS::SSM::Parameter": "Name",
        "AWS::SageMaker::Endpoint": "EndpointName",
        "AWS::StepFunctions::StateMachine": "StateMachineName",
        "AWS::Logs::LogGroup": "LogGroupName",
        "AWS::SNS::Topic": "TopicName",
        "AWS::CloudWatch::Alarm": "AlarmName",
        "AWS::KMS::Alias": "AliasName",
    }
    for kind, field in kinds.items():
        names = [{r[field] for r in e.resources(kind).values()} for e in (dev, prod)]
        assert names[0], kind
        assert not names[0] & names[1], kind
