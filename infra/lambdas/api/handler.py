"""The HTTP API: a system's question, answered by its champion on the endpoint.

``POST /<system>`` takes what the endpoint takes as JSON and gives back what it answers;
``GET /<system>/champion`` tells which bundle that is.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import (
    BadRequestError,
    NotFoundError,
    ServiceError,
)
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parameters import SSMProvider
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from listening.resources import (
    ASK_ROUTE,
    CHAMPION_ROUTE,
    MAX_API_BODY,
    NAMESPACE,
    target_model,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

CHAMPION_SECONDS = 60  # how long a warm function goes on with the champion it read
ANSWER_SECONDS = 25
"""How long the endpoint may take: less than the function may run, so that a caller is told."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the function is told by its environment."""

    endpoint: str
    systems: tuple[str, ...]
    champion_parameters: str

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Read the variables; one that is missing is a KeyError at the first request."""
        return cls(
            endpoint=variables["ENDPOINT"],
            systems=tuple(variables["SYSTEMS"].split(",")),
            champion_parameters=variables["CHAMPION_PARAMETERS"],
        )


logger = Logger(service="listening-api")
tracer = Tracer(service="listening-api")
metrics = Metrics(namespace=NAMESPACE, service="listening-api")
app = APIGatewayHttpResolver()


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an API Gateway request."""
    return app.resolve(event, context)


@app.get(CHAMPION_ROUTE)
def read_champion(system: str) -> dict[str, str]:
    """Tell which bundle answers."""
    return {"bundle_version": _champion(system)}


@app.post(ASK_ROUTE)
def ask(system: str) -> Response[str]:
    """Answer the question in the body."""
    version = _champion(system)
    body = _read_body()
    logger.append_keys(system=system, bundle_version=version)
    answer = _ask(body, target_model(system, version))
    metrics.add_metric(name="answers", unit=MetricUnit.Count, value=1)
    metrics.add_metadata(key="bundle_version", value=version)
    return Response(
        status_code=HTTPStatus.OK, content_type=content_types.APPLICATION_JSON, body=answer
    )


def _read_body() -> str:
    """Return the request's body; what it says is the endpoint's to judge.

    Raises
    ------
    BadRequestError
        It is not a JSON object, or too large.
    """
    body = app.current_event.decoded_body or ""
    if len(body) > MAX_API_BODY:
        raise BadRequestError(f"the body must be at most {MAX_API_BODY} bytes, got {len(body)}")
    try:
        document = json.loads(body)
    except json.JSONDecodeError as error:
        metrics.add_metric(name="input_errors", unit=MetricUnit.Count, value=1)
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        metrics.add_metric(name="input_errors", unit=MetricUnit.Count, value=1)
        raise BadRequestError("the body is not a question: it must be a JSON object")
    return body


@tracer.capture_method(capture_response=False)
def _ask(body: str, target: str) -> str:
    """Send the body to the champion.

    Raises
    ------
    ServiceError
        With the endpoint's own status and reason where it refused the input; 502 where it failed.
    """
    try:
        answer = _runtime().invoke_endpoint(
            EndpointName=_environment().endpoint,
            TargetModel=target,
            ContentType="application/json",
            Accept="application/json",
            Body=body.encode(),
        )
        return str(answer["Body"].read().decode())
    except (ClientError, BotoCoreError) as error:
        response: dict[str, Any] = getattr(error, "response", {})
        status = int(response.get("OriginalStatusCode", HTTPStatus.BAD_GATEWAY))
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            metrics.add_metric(name="input_errors", unit=MetricUnit.Count, value=1)
            raise ServiceError(status, _reason(response["OriginalMessage"])) from error
        logger.exception("the endpoint failed")
        metrics.add_metric(name="model_errors", unit=MetricUnit.Count, value=1)
        request_id = app.current_event.request_context.request_id
        raise ServiceError(
            HTTPStatus.BAD_GATEWAY, f"the model did not answer; request id {request_id}"
        ) from error


def _reason(message: str) -> str:
    """Return the sentence in the endpoint's error, which is JSON."""
    try:
        return str(json.loads(message)["message"])
    except (ValueError, KeyError, TypeError):
        return message


def _champion(system: str) -> str:
    """Return the champion of a system.

    Raises
    ------
    NotFoundError
        The environment has no such system.
    """
    environment = _environment()
    if system not in environment.systems:
        raise NotFoundError(f"no system '{system}'; there is {', '.join(environment.systems)}")
    name = f"{environment.champion_parameters}{system}/champion"
    return str(_parameters().get(name, max_age=CHAMPION_SECONDS))


@cache
def _environment() -> Environment:
    return Environment.read()


@cache
def _parameters() -> SSMProvider:
    return SSMProvider()


@cache
def _runtime() -> Any:
    return boto3.client(
        "sagemaker-runtime",
        config=Config(
            connect_timeout=2, read_timeout=ANSWER_SECONDS, retries={"total_max_attempts": 1}
        ),
    )
