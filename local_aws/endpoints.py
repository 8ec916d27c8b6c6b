"""SageMaker endpoints: the image's `serve` program behind each, really asked.

An endpoint is a process on a free loopback port. On a multi-model endpoint a target is fetched
from S3 on its first request, unpacked, loaded with ``POST /models`` and asked; when the server is
out of memory the target that was asked longest ago is unloaded.
https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
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

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.sagemaker import models
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from local_aws.captures import Capture
from local_aws.errors import LocalAwsError
from local_aws.names import require_sagemaker
from local_aws.objects import Location, parse_uri
from local_aws.processes import Command
from local_aws.runtime import ACCOUNT, REGION, LogStream, Runtime, isolated_environment

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from local_aws.patching import Patches

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
LARGEST_BODY = 25 * 1024 * 1024
"""Bytes: https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints.html"""
LARGEST_ARCHIVE = 4 * 2**30
"""Bytes that an archive may unpack to; more is no model."""
PASSED_ON = ("Content-Type", "Accept", "X-Amzn-SageMaker-Custom-Attributes")


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
    environment: Mapping[str, str]
    isolated: bool

    @classmethod
    def of(cls, model: Any) -> Container:
        """Read moto's record of a model."""
        definition = model.primary_container or model.containers[0]
        url = definition.get("ModelDataUrl")
        return cls(
            data=parse_uri(url) if url else None,
            multi_model=definition.get("Mode") == "MultiModel",
            environment={n: str(v) for n, v in (definition.get("Environment") or {}).items()},
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
    """Target and the ETag of the archive that was loaded, the one asked longest ago first."""
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
        image = self.runtime.image
        (self._folder / "models").mkdir(parents=True)
        if not self.container.multi_model and self.container.data is not None:
            fetch_model(self.runtime, self.container.data, self._folder / "model")
        program = image.program("serve")
        environment = (
            isolated_environment(image.python)
            if self.container.isolated
            else self.runtime.environment(image.python)
        )
        self._process = self.runtime.processes.start(
            Command(
                arguments=_interpreted(program, image.python),
                environment=environment
                | {"HOME": str(self._folder)}
                | image.environment
                | dict(self.container.environment)
                | {
                    "PATH": image.path,
                    "SAGEMAKER_BASE_DIR": str(self._folder),
                    "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
                    "SAGEMAKER_BIND_TO_PORT": str(self.port),
                    "SAGEMAKER_MULTI_MODEL": str(self.container.multi_model).lower(),
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
            self._forget(target)
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

    def _forget(self, target: str) -> None:
        with self._lock:
            self._loaded.pop(target, None)

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


@dataclass
class EndpointService:
    """Starts a server for each endpoint and sends requests to it."""

    runtime: Runtime
    _servers: dict[str, ModelServer] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def backend(self) -> Any:
        """Moto's records."""
        return models.sagemaker_backends[ACCOUNT][REGION]

    def install(self, patches: Patches) -> None:
        """Set the hooks."""
        patches.wrap(models.SageMakerModelBackend, "create_model", self._create_model)
        patches.wrap(models.SageMakerModelBackend, "create_endpoint", self._create)
        patches.wrap(models.SageMakerModelBackend, "delete_endpoint", self._delete)
        patches.wrap(models.FakeEndpoint, "create_from_cloudformation_json", self._create_and_wait)
        patches.replace(
            models.FakeEndpoint, "update_from_cloudformation_json", self._update_from_template
        )
        patches.wrap(models.Model, "create_from_cloudformation_json", _with_isolation)
        patches.wrap(SageMakerResponse, "create_model", _model_with_isolation(self))
        patches.add(SageMakerResponse, "update_endpoint", self._update_operation())
        patches.replace(SageMakerRuntimeResponse, "invoke_endpoint", self._invoke_operation())
        # Bodies need not be text.
        patches.replace(SageMakerRuntimeResponse, "use_raw_body", True)

    def _create_model(self, original: Callable[..., Any], backend: Any, **request: Any) -> Any:
        require_sagemaker("ModelName", "modelName", request["model_name"])
        if request["model_name"] in backend._models:
            raise ValidationError(
                f'Cannot create already existing model "{request["model_name"]}".'
            )
        return original(backend, **request)

    def _create(self, original: Callable[..., Any], backend: Any, **request: Any) -> Any:
        name = request["endpoint_name"]
        require_sagemaker("EndpointName", "endpointName", name)
        if name in backend.endpoints:
            raise ValidationError(
                f'Cannot create already existing endpoint "{backend.endpoints[name].arn}".'
            )
        endpoint = original(backend, **request)
        endpoint.endpoint_status = "Creating"
        self.runtime.submit(self._bring_up, endpoint)
        return endpoint

    def _delete(self, original: Callable[..., None], backend: Any, endpoint_name: str) -> None:
        original(backend, endpoint_name)
        with self._lock:
            server = self._servers.pop(endpoint_name, None)
        if server is not None:
            server.stop()

    def _bring_up(self, endpoint: Any) -> None:
        """Start a server for the endpoint's configuration; the old one serves until it is up."""
        name = endpoint.endpoint_name
        try:
            server = ModelServer(self.runtime, name, self._container(endpoint))
            server.start()
        except Exception as error:  # the endpoint must say why it failed
            log.exception("endpoint %s failed", name)
            endpoint.failure_reason = str(error)
            endpoint.endpoint_status = "InService" if name in self._servers else "Failed"
            endpoint.last_modified_time = utcnow()
            return
        with self._lock:
            old = self._servers.pop(name, None)
            self._servers[name] = server
        if old is not None:
            old.stop()
        endpoint.failure_reason = None
        endpoint.last_modified_time = utcnow()
        endpoint.endpoint_status = "InService"
        log.info("endpoint %s in service on port %d", name, server.port)

    def _container(self, endpoint: Any) -> Container:
        configuration = self.backend.endpoint_configs[endpoint.endpoint_config_name]
        variant = configuration.production_variants[0]
        return Container.of(self.backend._models[variant["ModelName"]])

    def update(self, endpoint: Any, configuration: str) -> None:
        """Serve another configuration, with no moment without an answer."""
        described = self.backend.describe_endpoint_config(configuration)
        endpoint.endpoint_config_name = configuration
        endpoint.production_variants = endpoint._process_production_variants(
            described["ProductionVariants"]
        )
        endpoint.endpoint_status = "Updating"
        self.runtime.submit(self._bring_up, endpoint)

    def _update_operation(self) -> Callable[[Any], Any]:
        def update_endpoint(response: Any) -> Any:
            name = response._get_param("EndpointName")
            self.backend.describe_endpoint(name)
            endpoint = self.backend.endpoints[name]
            self.update(endpoint, response._get_param("EndpointConfigName"))
            return ActionResult({"EndpointArn": endpoint.arn})

        return update_endpoint

    def _create_and_wait(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        endpoint = original(*args, **kwargs)
        try:
            self._await(endpoint)
        except LocalAwsError:
            self.backend.delete_endpoint(endpoint.endpoint_name)
            raise
        return endpoint

    def _update_from_template(
        self, original_resource: Any, cloudformation_json: Any, **_: Any
    ) -> Any:
        self.update(original_resource, cloudformation_json["Properties"]["EndpointConfigName"])
        self._await(original_resource)
        return original_resource

    def _await(self, endpoint: Any) -> None:
        deadline = time.monotonic() + READY_WITHIN + LOAD_WITHIN
        while endpoint.endpoint_status in {"Creating", "Updating"}:
            if time.monotonic() > deadline or self.runtime.stopping.is_set():
                raise LocalAwsError(f"endpoint {endpoint.endpoint_name} did not come into service")
            time.sleep(0.05)
        if endpoint.failure_reason:
            raise LocalAwsError(endpoint.failure_reason)

    def _invoke_operation(self) -> Callable[[Any], Any]:
        def invoke_endpoint(response: Any) -> Any:
            try:
                answer = self.invoke(
                    response.path.split("/")[2], response.raw_body, response.headers
                )
            except InvokeError as error:
                headers = {"status": error.status, "x-amzn-errortype": error.name}
                return error.status, headers, json.dumps(error.body)
            headers = {
                "Content-Type": answer.headers.get("content-type", "application/octet-stream"),
                "x-Amzn-Invoked-Production-Variant": self._variant(response.path.split("/")[2]),
            }
            attributes = answer.headers.get("x-amzn-sagemaker-custom-attributes")
            if attributes:
                headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
            return 200, headers, answer.body

        return invoke_endpoint

    def _variant(self, name: str) -> str:
        return str(self.backend.endpoints[name].production_variants[0]["VariantName"])

    def invoke(self, name: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Answer a request as InvokeEndpoint does.

        Raises
        ------
        InvokeError
            As the API names what went wrong.
        """
        endpoint = self.backend.endpoints.get(name)
        server = self._servers.get(name)
        if endpoint is None:
            raise validation_error(f"Endpoint {name} of account {ACCOUNT} not found.")
        if server is None:
            raise validation_error(
                f"Endpoint {name} is not in service: its status is {endpoint.endpoint_status}."
            )
        if len(body) > LARGEST_BODY:
            raise validation_error(
                f"Member at 'body' must have length less than or equal to {LARGEST_BODY}"
            )
        given = {header.lower(): value for header, value in headers.items()}
        passed = {name: given[name.lower()] for name in PASSED_ON if given.get(name.lower())}
        answer = server.invoke(body, passed, given.get("x-amzn-sagemaker-target-model"))
        lowered = {header.lower(): value for header, value in answer.headers.items()}
        if capture := self._capture(endpoint):
            kinds = given.get("content-type", ""), lowered.get("content-type", "")
            place = name, self._variant(name)
            self.runtime.submit(capture.keep, self.runtime.objects, place, kinds, body, answer.body)
        return Answer(answer.status, lowered, answer.body)

    def _capture(self, endpoint: Any) -> Capture | None:
        """Return how this request is captured, if its endpoint captures and chance picks it."""
        configuration = self.backend.endpoint_configs[endpoint.endpoint_config_name]
        return Capture.drawn(configuration.data_capture_config or {})


def _with_isolation(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Keep network isolation, which moto drops when a template makes a model."""
    model = original(*args, **kwargs)
    definition = kwargs.get("cloudformation_json") or args[1]
    isolated = definition["Properties"].get("EnableNetworkIsolation", False)
    model.enable_network_isolation = str(isolated).lower() == "true"
    return model


def _model_with_isolation(service: EndpointService) -> Callable[..., Any]:
    def create(original: Callable[..., Any], response: Any) -> Any:
        answer = original(response)
        model = service.backend._models[response._get_param("ModelName")]
        model.enable_network_isolation = bool(response._get_param("EnableNetworkIsolation"))
        return answer

    return create


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
