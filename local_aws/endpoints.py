"""SageMaker endpoints: models, their configurations and invocations, over a server for each.

A server is a process on a free loopback port, really asked.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.sagemaker import models
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from local_aws.captures import Capture
from local_aws.errors import LocalAwsError
from local_aws.model_server import (
    LOAD_WITHIN,
    READY_WITHIN,
    Answer,
    Container,
    InvokeError,
    ModelServer,
    validation_error,
)
from local_aws.names import require_sagemaker
from local_aws.runtime import ACCOUNT, REGION, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local_aws.patching import Patches

log = logging.getLogger(__name__)

LARGEST_BODY = 25 * 1024 * 1024
"""Bytes: https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints.html"""
PASSED_ON = ("Content-Type", "Accept", "X-Amzn-SageMaker-Custom-Attributes")


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
        patches.wrap(models.Model, "create_from_cloudformation_json", _isolated)
        patches.wrap(SageMakerResponse, "create_model", self._with_isolation)
        patches.add(SageMakerResponse, "update_endpoint", self._update)
        patches.wrap(SageMakerRuntimeResponse, "invoke_endpoint", self._invoke)
        # Bodies need not be text.
        patches.replace(SageMakerRuntimeResponse, "use_raw_body", True)

    def _create_model(self, original: Callable[..., Any], backend: Any, **request: Any) -> Any:
        require_sagemaker("ModelName", "modelName", request["model_name"])
        if request["model_name"] in backend._models:
            raise ValidationError(
                f'Cannot create already existing model "{request["model_name"]}".'
            )
        return original(backend, **request)

    def _with_isolation(self, original: Callable[..., Any], response: Any) -> Any:
        answer = original(response)
        model = self.backend._models[response._get_param("ModelName")]
        model.enable_network_isolation = bool(response._get_param("EnableNetworkIsolation"))
        return answer

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

    def _update(self, response: Any) -> Any:
        name = response._get_param("EndpointName")
        self.backend.describe_endpoint(name)
        endpoint = self.backend.endpoints[name]
        self.update(endpoint, response._get_param("EndpointConfigName"))
        return ActionResult({"EndpointArn": endpoint.arn})

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

    def _invoke(self, _original: Callable[..., Any], response: Any) -> Any:
        name = response.path.split("/")[2]
        try:
            answer = self.invoke(name, response.raw_body, response.headers)
        except InvokeError as error:
            headers = {"status": error.status, "x-amzn-errortype": error.name}
            return error.status, headers, json.dumps(error.body)
        headers = {
            "Content-Type": answer.headers.get("content-type", "application/octet-stream"),
            "x-Amzn-Invoked-Production-Variant": self._variant(name),
        }
        attributes = answer.headers.get("x-amzn-sagemaker-custom-attributes")
        if attributes:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
        return 200, headers, answer.body

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


def _isolated(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Keep network isolation, which moto drops when a template makes a model."""
    model = original(*args, **kwargs)
    definition = kwargs.get("cloudformation_json") or args[1]
    isolated = definition["Properties"].get("EnableNetworkIsolation", False)
    model.enable_network_isolation = str(isolated).lower() == "true"
    return model
