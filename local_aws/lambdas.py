"""Lambda: Python handlers run in a process of their own, with the function's environment.

The process sees what AWS's Python runtimes bring (the standard library and boto3), the function's
package and its layers, so that an undeclared import fails here as it would there. What the public
layer of Powertools holds comes from this environment.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import uuid
import zipfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend

from local_aws.logs import put_log_lines
from local_aws.objects import inside
from local_aws.processes import Command
from local_aws.runtime import ACCOUNT, REGION, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from local_aws.events import EventBus
    from local_aws.patching import Patches

log = logging.getLogger(__name__)

BOOTSTRAP = Path(__file__).with_name("lambda_bootstrap.py")
RUNTIME_PACKAGES = (
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "python-dateutil",
    "six",
    "urllib3",
)
"""https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html#python-sdk-included"""
POWERTOOLS = "AWSLambdaPowertoolsPython"
POWERTOOLS_PACKAGES = (
    "aws-lambda-powertools",
    "aws-xray-sdk",
    "fastjsonschema",
    "jmespath",
    "typing-extensions",
    "wrapt",
)
"""https://docs.aws.amazon.com/powertools/python/latest/getting-started/install/"""


@dataclass
class LambdaService:
    """Runs functions."""

    runtime: Runtime
    events: EventBus
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def install(self, patches: Patches) -> None:
        """Set the hooks."""
        patches.wrap(LambdaFunction, "_invoke_lambda", self._invoke)
        patches.wrap(LambdaFunction, "_get_layers_data", _layers)
        patches.wrap(LambdaFunction, "create_from_cloudformation_json", _with_layers)
        self.events.deliver_to("lambda", self._deliver)

    def _deliver(self, arn: str, text: str, _event: Mapping[str, Any]) -> None:
        headers: dict[str, str] = {}
        answer = get_backend(ACCOUNT, REGION).get_function(arn).invoke(text, {}, headers)
        if "x-amz-function-error" in headers:
            log.error("function %s failed: %s", arn, answer)

    def _invoke(
        self, _original: Callable[..., Any], function: Any, event: Any = None
    ) -> tuple[str, bool, str]:
        """Run a function once; returns its JSON answer, whether it failed, and its log."""
        request_id = str(uuid.uuid4())
        folder = self.runtime.work / "lambda" / request_id
        folder.mkdir(parents=True)
        name = function.function_name
        output = self.runtime.logs / "lambda" / f"{name}.{request_id}.log"
        request, answer = folder / "request.json", folder / "answer.json"
        request.write_text(json.dumps({"event": event, "request_id": request_id}), encoding="utf-8")
        code = self._unzipped(function.code_bytes)
        command = Command(
            arguments=[sys.executable, "-I", "-S", str(BOOTSTRAP), str(request), str(answer)],
            environment=self._environment(function, code, folder),
            folder=code,
            output=output,
        )
        process = self.runtime.processes.start(command)
        late = False
        try:
            self.runtime.processes.wait(process, timeout=_seconds(function))
        except subprocess.TimeoutExpired:
            late = True
            self.runtime.processes.stop(process, grace=0.5)
        text = output.read_text(encoding="utf-8", errors="replace")
        put_log_lines(
            group=f"/aws/lambda/{name}",
            stream=f"[{function.version}]{request_id}",
            lines=text.splitlines(),
        )
        try:
            return *_outcome(answer, function, request_id, late=late), text
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _environment(self, function: Any, code: Path, folder: Path) -> dict[str, str]:
        layers = [self._layer(layer["Arn"]) for layer in function.layers]
        paths = [code, *layers, self._linked("lambda-runtime", RUNTIME_PACKAGES)]
        return (
            self.runtime.environment(Path(sys.executable))
            | {name: str(value) for name, value in function.environment_vars.items()}
            | {
                "HOME": str(folder),
                "LOCAL_AWS_PATHS": os.pathsep.join(map(str, paths)),
                "_HANDLER": function.handler,
                "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
                "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
                "AWS_LAMBDA_FUNCTION_VERSION": str(function.version),
                "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.function_name}",
                "AWS_LAMBDA_LOG_STREAM_NAME": "local",
                "LOCAL_AWS_FUNCTION_ARN": function.function_arn,
                "LOCAL_AWS_TIMEOUT": str(_seconds(function)),
                "LAMBDA_TASK_ROOT": str(code),
                "POWERTOOLS_TRACE_DISABLED": "true",  # nobody listens
            }
        )

    def _layer(self, arn: str) -> Path:
        """Return the folder of packages that a layer brings."""
        layer = get_backend(ACCOUNT, REGION).layers_versions_by_arn(arn)
        if layer is not None:
            return self._unzipped(layer.code_bytes) / "python"
        if POWERTOOLS in arn:
            return self._linked("lambda-powertools", POWERTOOLS_PACKAGES)
        return self._linked("lambda-nothing", ())

    def _unzipped(self, archive: bytes) -> Path:
        folder = self.runtime.work / "lambda-code" / hashlib.sha256(archive).hexdigest()[:16]
        with self._lock:
            if not folder.exists():
                unzip(archive, folder)
        return folder

    def _linked(self, name: str, packages: Sequence[str]) -> Path:
        """Return a folder of links to packages of this environment."""
        folder = self.runtime.work / name
        with self._lock:
            if not folder.exists():
                folder.mkdir(parents=True)
                for package in packages:
                    _link(package, folder)
        return folder


def _link(package: str, folder: Path) -> None:
    for file in metadata.files(package) or []:
        top = file.parts[0]
        if top != ".." and not (folder / top).exists():
            (folder / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)


def unzip(archive: bytes, folder: Path) -> None:
    """Unpack a deployment package; members that lead out of the folder are refused."""
    with zipfile.ZipFile(io.BytesIO(archive)) as package:
        for name in package.namelist():
            inside(folder, name)
        package.extractall(folder)


def _layers(
    original: Callable[..., list[dict[str, Any]]], function: Any, arns: list[str]
) -> list[dict[str, Any]]:
    """Return a function's layers: those of other accounts by name, for nothing is known of them."""
    own = {layer["Arn"]: layer for layer in original(function, [a for a in arns if ACCOUNT in a])}
    return [own.get(arn, {"Arn": arn, "CodeSize": 0}) for arn in arns]


def _with_layers(
    original: Callable[..., Any], name: str, definition: Any, *a: Any, **k: Any
) -> Any:
    """Make a function with its layers, which moto's type leaves out."""
    function = original(name, definition, *a, **k)
    layers = {"Layers": definition["Properties"].get("Layers", [])}
    function.update_configuration(layers)
    return function


def _outcome(answer: Path, function: Any, request_id: str, *, late: bool) -> tuple[str, bool]:
    """Return the answer that the process left, or why there is none, worded as AWS does."""
    if answer.exists():
        result = json.loads(answer.read_text(encoding="utf-8"))
        return json.dumps(result["value"]), bool(result["failed"])
    kind, text = "Runtime.ExitError", "Runtime exited without providing a reason"
    if late:
        kind = "Sandbox.Timedout"
        text = f"Task timed out after {_seconds(function):.2f} seconds"
    message = f"RequestId: {request_id} Error: {text}"
    return json.dumps({"errorType": kind, "errorMessage": message}), True


def _seconds(function: Any) -> float:
    return float(function.timeout or 3)  # AWS's default
