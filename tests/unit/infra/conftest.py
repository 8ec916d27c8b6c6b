"""Synthesised environments, each once a session."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.application import CONTEXT, build, cdk
from infra.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).parents[3]
ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Environment:
    """The templates of one environment by concern."""

    name: str
    region: str
    folder: Path
    templates: Mapping[str, dict[str, Any]]

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of all resources of a type, by ``concern/logical id``."""
        return {
            f"{concern}/{name}": resource.get("Properties", {})
            for concern, template in self.templates.items()
            for name, resource in template["Resources"].items()
            if resource["Type"] == kind
        }

    def one(self, kind: str, concern: str = "") -> dict[str, Any]:
        """Return the properties of the only resource of a type, if given of a concern."""
        found = self.resources(kind).items()
        (properties,) = [one for place, one in found if place.startswith(concern)]
        return properties

    def text(self, value: Any, concern: str) -> str:
        """Return a value with its references resolved as CloudFormation would."""
        match value:
            case {"Fn::Join": [separator, parts]}:
                return str(separator).join(self.text(part, concern) for part in parts)
            case {"Fn::Sub": str(template)}:
                return re.sub(r"\$\{(.*?)\}", lambda m: self._reference(m[1], concern), template)
            case {"Fn::ImportValue": export}:
                source = str(export).split(":")[0].removeprefix(f"listening-{self.name}-")
                outputs = self.templates[source]["Outputs"].values()
                (exported,) = [o for o in outputs if o["Export"]["Name"] == export]
                return self.text(exported["Value"], source)
            case {"Ref": name}:
                return self._reference(name, concern)
            case {"Fn::GetAtt": [name, attribute]}:
                is_arn = attribute == "Arn"
                return self._arn(name, concern) if is_arn else f"<{concern}.{name}.{attribute}>"
            case _:
                return str(value)

    def _reference(self, name: str, concern: str) -> str:
        pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": self.region,
            "AWS::URLSuffix": "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        resource = self.templates[concern]["Resources"][name]
        if resource["Type"] == "AWS::SNS::Topic":
            return f"arn:aws:sns:{self.region}:{ACCOUNT}:{resource['Properties']['TopicName']}"
        return f"<{concern}.{name}>"

    def _arn(self, name: str, concern: str) -> str:
        resource = self.templates[concern]["Resources"][name]
        properties = resource.get("Properties", {})
        place = f"{self.region}:{ACCOUNT}"
        arns = {
            "AWS::IAM::Role": lambda: f"arn:aws:iam::{ACCOUNT}:role/{name}",
            "AWS::KMS::Key": lambda: f"arn:aws:kms:{place}:key/{name}",
            "AWS::S3::Bucket": lambda: (
                f"arn:aws:s3:::{self.text(properties['BucketName'], concern)}"
            ),
            "AWS::Lambda::Function": lambda: (
                f"arn:aws:lambda:{place}:function:{properties['FunctionName']}"
            ),
            "AWS::Logs::LogGroup": lambda: (
                f"arn:aws:logs:{place}:log-group:{properties['LogGroupName']}:*"
            ),
        }
        return arns[resource["Type"]]()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a wheel, as `make wheels` does."""
    folder = tmp_path_factory.mktemp("wheels")
    (folder / "ftfy-6.3.1-py3-none-any.whl").write_bytes(b"wheel")
    return folder


@pytest.fixture(scope="session")
def new_app() -> Callable[..., cdk.App]:
    """Make an app with the project's feature flags."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]

    def make(folder: Path, **flags: str) -> cdk.App:
        return cdk.App(outdir=str(folder), context=context | CONTEXT | flags)

    return make


@pytest.fixture(scope="session")
def synthesise(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path, new_app: Callable[..., cdk.App]
) -> Iterator[Callable[..., Environment]]:
    """Synthesise an environment without credentials; a finding of cdk-nag makes it fail."""
    patch = pytest.MonkeyPatch()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        patch.delenv(name, raising=False)

    def run(chosen: str | Settings, **flags: str) -> Environment:
        settings = load_settings(chosen) if isinstance(chosen, str) else chosen
        name = settings.environment
        folder = tmp_path_factory.mktemp(name)
        app = new_app(folder, **flags)
        build(app, settings, wheels=wheels)
        app.synth()
        prefix = f"listening-{name}-"
        return Environment(
            name=name,
            region=settings.region,
            folder=folder,
            templates={
                file.name.removeprefix(prefix).split(".")[0]: json.loads(file.read_text())
                for file in sorted(folder.glob(f"{prefix}*.template.json"))
            },
        )

    yield run
    patch.undo()


@pytest.fixture(scope="session")
def environment(synthesise: Callable[..., Environment]) -> Callable[[str], Environment]:
    """Return an environment by its name, synthesised once a session."""
    return cache(synthesise)


@pytest.fixture(scope="session")
def local(environment: Callable[[str], Environment]) -> Environment:
    """Return the emulator's environment."""
    return environment("local")


@pytest.fixture(scope="session")
def dev(environment: Callable[[str], Environment]) -> Environment:
    """Return the environment outside a VPC, with one instance and without drift."""
    return environment("dev")


@pytest.fixture(scope="session")
def prod(environment: Callable[[str], Environment]) -> Environment:
    """Return the environment with everything in it."""
    return environment("prod")
