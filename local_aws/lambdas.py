"""Lambda: Python handlers run in a process of their own, with the function's environment.

The process sees what AWS's Python runtimes bring (the standard library and boto3), the function's
package and its layers, so that an undeclared import fails here as it would there.
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

from local_aws.objects import inside
from local_aws.processes import Command
from local_aws.runtime import ACCOUNT, REGION, Runtime, put_log_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


@dataclass
class LambdaService:
    """Runs functions."""

    runtime: Runtime
    events: EventBus
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def install(self, patches: Patches) -> None:
        """Set the hooks."""
        patches.replace(LambdaFunction, "_invoke_lambda", self._hook())
        self.events.deliver_to("lambda", self._deliver)

    def _hook(self) -> Callable[..., tuple[str, bool, str]]:
        def invoke(function: Any, event: Any = None) -> tuple[str, bool, str]:
            return self.invoke(function, event)

        return invoke

    def _deliver(self, arn: str, text: str, _event: Mapping[str, Any]) -> None:
        headers: dict[str, str] = {}
        answer = get_backend(ACCOUNT, REGION).get_function(arn).invoke(text, {}, headers)
        if "x-amz-function-error" in headers:
            log.error("function %s failed: %s", arn, answer)

    def invoke(self, function: Any, event: Any) -> tuple[str, bool, str]:
        """Run a function once; returns its JSON answer, whether it failed, and its log."""
        request_id = str(uuid.uuid4())
        folder = self.runtime.work / "lambda" / request_id
        folder.mkdir(parents=True)
        name = function.function_name
        output = self.runtime.logs / "lambda" / f"{name}.{request_id}.log"
        request, answer = folder / "request.json", folder / "answer.json"
        request.write_text(json.dumps({"event": event, "request_id": request_id}), encoding="utf-8")
        code = self._code(function)
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
        paths = [code, *(layer / "python" for layer in layers), self._runtime_packages()]
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
            }
        )

    def _code(self, function: Any) -> Path:
        return self._unzipped(function.code_bytes)

    def _layer(self, arn: str) -> Path:
        layer = get_backend(ACCOUNT, REGION).layers_versions_by_arn(arn)
        return self._unzipped(layer.code_bytes if layer else b"")

    def _unzipped(self, archive: bytes) -> Path:
        folder = self.runtime.work / "lambda-code" / hashlib.sha256(archive).hexdigest()[:16]
        with self._lock:
            if not folder.exists():
                unzip(archive, folder)
        return folder

    def _runtime_packages(self) -> Path:
        """Return a folder of links to the packages that AWS's runtime brings."""
        folder = self.runtime.work / "lambda-runtime"
        with self._lock:
            if not folder.exists():
                folder.mkdir(parents=True)
                for package in RUNTIME_PACKAGES:
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
