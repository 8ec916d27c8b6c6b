"""A Lambda function of the project, with a role that may do nothing until it is granted."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.permissions import TRACING, acknowledge_wildcard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.base_stack import BaseStack


ROOT = Path(__file__).parents[2]
LAMBDAS = ROOT / "infra" / "lambdas"
SHIPPED = ("__init__.py", "errors.py", "resources.py", "systems.py")
"""What every function gets of the package `listening`: the names that all must agree on."""
RUNTIME = lambda_.Runtime.PYTHON_3_14


@dataclass(frozen=True, kw_only=True)
class Handler:
    """What a function runs, and with what.

    Parameters
    ----------
    folder
        Folder in ``infra/lambdas`` whose ``handler.py`` has the function ``handler``.
    name
        Last part of the function's name.
    timeout
        After which it is stopped.
    memory_mb
        Megabytes.
    environment
        Environment variables.
    layers
        What it imports beside the standard library and boto3.
    """

    folder: str
    name: str
    timeout: cdk.Duration
    memory_mb: int = 256
    environment: Mapping[str, str] = field(default_factory=dict)
    layers: Sequence[lambda_.ILayerVersion] = ()


class PythonFunction(Construct):
    """Role, encrypted log group and traced function.

    Parameters
    ----------
    handler
        What it runs.
    key
        Encrypts its logs.
    """

    def __init__(
        self, scope: BaseStack, construct_id: str, *, handler: Handler, key: kms.IKey
    ) -> None:
        super().__init__(scope, construct_id)
        name = f"{scope.names.prefix}-{handler.name}"
        log_group = scope.log_group(f"{construct_id}Logs", name=f"/aws/lambda/{name}", key=key)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(self.role)
        self.function = self._build_function(name, handler, log_group)
        acknowledge_wildcard(self.role, "*", because=TRACING)

    def _build_function(
        self, name: str, handler: Handler, log_group: logs.ILogGroup
    ) -> lambda_.Function:
        with tempfile.TemporaryDirectory() as root:
            _stage(LAMBDAS / handler.folder, Path(root))
            return lambda_.Function(
                self,
                "Function",
                function_name=name,
                runtime=RUNTIME,
                handler="handler.handler",
                code=lambda_.Code.from_asset(root),
                role=self.role,
                log_group=log_group,
                timeout=handler.timeout,
                memory_size=handler.memory_mb,
                environment=dict(handler.environment),
                layers=list(handler.layers),
                tracing=lambda_.Tracing.ACTIVE,
            )


def _stage(folder: Path, into: Path) -> None:
    """Copy a function's folder, and `SHIPPED` beside it."""
    shutil.copytree(folder, into, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    package = into / "listening"
    package.mkdir()
    for name in SHIPPED:
        shutil.copyfile(ROOT / "listening" / name, package / name)
