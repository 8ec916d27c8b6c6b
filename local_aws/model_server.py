"""The image's `serve` program behind an endpoint: its process, the models it holds, its answers.

On a multi-model endpoint a target is fetched from S3 on its first request, unpacked, loaded with
``POST /models`` and asked; when the server is out of memory the target that was asked longest ago
is unloaded. https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import logging
import shutil
import socket
import tarfile
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from local_aws.errors import LocalAwsError
from local_aws.logs import LogStream
from local_aws.objects import Location, parse_uri
from local_aws.processes import Command

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

    from local_aws.runtime import Runtime

log = logging.getLogger(__name__)

LOG_GROUP = "/aws/sagemaker/Endpoints"
READY_WITHIN = 120.0
"""Seconds from the start of a server to its first healthy ping."""
ANSWER_WITHIN = 60.0
"""Seconds: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html"""
LOAD_WITHIN = 120.0
"""Seconds for loading a model."""
OUT_OF_MEMORY = 507
"""Answer of ``POST /models`` and of a request when the server can hold no further model."""
LARGEST_ARCHIVE = 4 * 2**30
"""Bytes that an archive may unpack to; more is no model."""


class InvokeError(Exception):
    """An error of InvokeEndpoint, with the name and status that AWS gives it.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    """

    def __init__(self, name: str, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.name = name
        self.status = status
        self.body = {"Message": message, **more}


def validation_error(message: str) -> InvokeError:
    """Return what a caller gets who asks for something that does not exist."""
    return InvokeError("ValidationError", 400, message)


def model_error(status: int, text: str) -> InvokeError:
    """Return what a caller gets when the container answers with an error."""
    message = (
        f"Received {'client' if status < 500 else 'server'} error ({status}) from primary with "
        f'message "{text}".'
    )
    return InvokeError("ModelError", 424, message, OriginalStatusCode=status, OriginalMessage=text)


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, shortened to what AWS repeats of it."""
        return self.body.decode("utf-8", errors="replace")[:2048]


@dataclass(frozen=True)
class Container:
    """What of a model's container definition decides how it is served."""

    data: Location | None
    multi_model: bool
    environment: Mapping[str, Any]
    isolated: bool

    @classmethod
    def of(cls, model: Any) -> Container:
        """Read moto's record of a model."""
        definition = model.primary_container or model.containers[0]
        url = definition.get("ModelDataUrl")
        return cls(
            data=parse_uri(url) if url else None,
            multi_model=definition.get("Mode") == "MultiModel",
            environment=definition.get("Environment") or {},
            isolated=bool(model.enable_network_isolation),
        )


@dataclass
class ModelServer:
    """The process behind an endpoint, and the models it holds."""

    runtime: Runtime
    name: str
    container: Container
    port: int = field(init=False)
    _process: subprocess.Popen[bytes] | None = None
    _loaded: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """Target and the id of the model that was loaded, the one asked longest ago first."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _loading: dict[str, threading.Lock] = field(default_factory=dict)
    _idle: list[http.client.HTTPConnection] = field(default_factory=list)
    _publishing: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Take a port, which names the server's log stream too."""
        self.port = free_port()
        group, stream = f"{LOG_GROUP}/{self.name}", f"AllTraffic/{self.port}"
        self._stream = LogStream(group, stream, self.log_file)

    @property
    def _folder(self) -> Path:
        return self.runtime.work / "endpoints" / f"{self.name}-{self.port}"

    @property
    def log_file(self) -> Path:
        """Output of the server."""
        return self.runtime.logs / "endpoints" / f"{self.name}.log"

    def start(self) -> None:
        """Start the server and wait until it is healthy.

        Raises
        ------
        LocalAwsError
            If it ends, or is not healthy in time; names the log.
        """
        image, container = self.runtime.image, self.container
        (self._folder / "models").mkdir(parents=True)
        if not container.multi_model and container.data is not None:
            fetch_model(self.runtime, container.data, self._folder / "model")
        environment = self.runtime.image_environment(
            image, self._folder, container.environment, isolated=container.isolated
        )
        self._process = self.runtime.processes.start(
            Command(
                arguments=_interpreted(image.program("serve"), image.python),
                environment=environment
                | {
                    "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
                    "SAGEMAKER_BIND_TO_PORT": str(self.port),
                    "SAGEMAKER_MULTI_MODEL": str(container.multi_model).lower(),
                    "SAGEMAKER_SAFE_PORT_RANGE": f"{self.port}-{self.port}",
                    "SM_MODEL_DIR": str(self._folder / "model"),
                },
                folder=image.code,
                output=self.log_file,
            )
        )
        deadline = time.monotonic() + READY_WITHIN
        while not self._healthy():
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                self.stop()
                reason = f"ended with exit code {ended}" if ended is not None else "timed out"
                raise LocalAwsError(
                    f"The primary container for production variant did not pass the ping health "
                    f"check: it {reason}. See {self.log_file}: {self._last_line()}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server and forget its models."""
        if self._process is not None:
            self.runtime.processes.stop(self._process)
        self.publish_log()
        for connection in self._idle:
            connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def publish_log(self) -> None:
        """Copy what the server has printed since the last time into its log group."""
        with self._publishing:
            self._stream.publish()

    def invoke(self, body: bytes, headers: Mapping[str, str], target: str | None) -> Answer:
        """Ask a model.

        Raises
        ------
        InvokeError
            As the API names what went wrong.
        """
        if not self.container.multi_model:
            if target is not None:
                raise validation_error("TargetModel is only for endpoints of several models")
            return self._checked(self._ask("POST", "/invocations", body, headers))
        if target is None:
            raise validation_error(
                "A TargetModel is required: this endpoint's container is in MultiModel mode"
            )
        model_id = self._load(target)
        passed = {**headers, "X-Amzn-SageMaker-Target-Model": target}
        path = f"/models/{model_id}/invoke"
        answer = self._ask("POST", path, body, passed)
        if answer.status in {404, OUT_OF_MEMORY}:  # it was unloaded meanwhile
            with self._lock:
                self._loaded.pop(target, None)
            model_id = self._load(target)
            answer = self._ask("POST", path, body, passed)
        return self._checked(answer)

    def _checked(self, answer: Answer) -> Answer:
        if answer.status != 200:
            self.publish_log()
            raise model_error(answer.status, answer.text)
        return answer

    def _load(self, target: str) -> str:
        model_id = hashlib.sha256(target.encode()).hexdigest()[:32]
        with self._lock:
            if target in self._loaded:
                self._loaded.move_to_end(target)
                return model_id
            loading = self._loading.setdefault(target, threading.Lock())
        with loading:
            if target in self._loaded:
                return model_id
            folder = self._folder / "models" / model_id / "model"
            self._fetch(target, folder)
            self._post_model(target, model_id, folder)
            with self._lock:
                self._loaded[target] = model_id
        return model_id

    def _fetch(self, target: str, folder: Path) -> None:
        if self.container.data is None:
            raise validation_error("the model has no ModelDataUrl")
        prefix = self.container.data
        location = Location(prefix.bucket, f"{prefix.key.rstrip('/')}/{target.lstrip('/')}")
        try:
            fetch_model(self.runtime, location, folder)
        except LocalAwsError as error:
            shutil.rmtree(folder.parent, ignore_errors=True)
            raise validation_error(
                f"Failed to download model data from {location.uri}: {error}"
            ) from error

    def _post_model(self, target: str, model_id: str, folder: Path) -> None:
        body = json.dumps({"model_name": model_id, "url": str(folder)}).encode()
        while True:
            answer = self._ask(
                "POST", "/models", body, {"Content-Type": "application/json"}, LOAD_WITHIN
            )
            if answer.status in {200, 409}:
                log.info("endpoint %s loaded %s", self.name, target)
                self.publish_log()
                return
            if answer.status != OUT_OF_MEMORY or not self._unload_oldest():
                shutil.rmtree(folder.parent, ignore_errors=True)
                raise model_error(answer.status, answer.text)

    def _unload_oldest(self) -> bool:
        with self._lock:
            if not self._loaded:
                return False
            target, model_id = self._loaded.popitem(last=False)
        self._ask("DELETE", f"/models/{model_id}", b"", {})
        shutil.rmtree(self._folder / "models" / model_id, ignore_errors=True)
        log.info("endpoint %s unloaded %s: out of memory", self.name, target)
        return True

    def _healthy(self) -> bool:
        try:
            return self._ask("GET", "/ping", b"", {}, 2.0).status == 200
        except InvokeError:
            return False

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        seconds: float = ANSWER_WITHIN,
    ) -> Answer:
        for fresh in (False, True):
            connection = self._connection(fresh=fresh)
            try:
                if connection.sock is not None:
                    connection.sock.settimeout(seconds)
                connection.timeout = seconds
                connection.request(method, quote(path), body=body, headers=dict(headers))
                response = connection.getresponse()
                answer = Answer(response.status, dict(response.getheaders()), response.read())
            except TimeoutError as error:
                connection.close()
                raise model_error(
                    504, f"the container did not answer within {seconds:.0f} seconds"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if fresh:
                    raise InvokeError(
                        "ServiceUnavailable", 503, f"the container does not answer: {error}"
                    ) from error
                continue
            with self._lock:
                self._idle.append(connection)
            return answer
        raise AssertionError

    def _connection(self, *, fresh: bool) -> http.client.HTTPConnection:
        with self._lock:
            if self._idle and not fresh:
                return self._idle.pop()
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def _last_line(self) -> str:
        with contextlib.suppress(OSError, IndexError):
            text = self.log_file.read_text(encoding="utf-8", errors="replace")
            return [line for line in text.splitlines() if line.strip()][-1]
        return ""


def _interpreted(program: Path, python: Path) -> list[str]:
    """Return how to run a program; a Python script runs with the image's Python."""
    with program.open("rb") as file:
        first = file.readline()
    if first.startswith(b"#!") and b"python" in first:
        return [str(python), str(program)]
    if first.startswith(b"#!"):
        return [*first[2:].decode().split(), str(program)]
    return [str(program)]


def fetch_model(runtime: Runtime, location: Location, folder: Path) -> None:
    """Download an archive and unpack it into a folder.

    Raises
    ------
    LocalAwsError
        If it does not exist, or is no archive that is safe to unpack.
    """
    archive = folder.parent / "archive.tar.gz"
    runtime.objects.download(location, archive)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
            if sum(member.size for member in members) > LARGEST_ARCHIVE:
                raise LocalAwsError(f"{location.uri} unpacks to more than {LARGEST_ARCHIVE} bytes")
            for member in members:
                leads_out = member.name.startswith("/") or ".." in member.name.split("/")
                if leads_out or not (member.isfile() or member.isdir()):
                    raise tarfile.TarError(f"{member.name} leads out of it or is no file or folder")
                # Neither owner nor mode of who packed it; `filter` is not in Python before 3.11.4.
                tar.extract(member, folder, set_attrs=False)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise LocalAwsError(f"no space is left to unpack {location.uri} on the disk") from error
        raise LocalAwsError(f"{location.uri} is no sound model archive: {error}") from error
    finally:
        archive.unlink(missing_ok=True)


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
