"""The HTTP API: which country is a listener from, as the champion on the endpoint sees it.

``POST /countries`` takes what the endpoint takes as JSON and gives back what it answers.
``GET /champion`` and ``GET /artist_index/<version>/<file>`` are what the page needs beside that.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from http import HTTPStatus
from typing import Any

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
from aws_lambda_powertools.utilities.validation import SchemaValidationError, validate
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CHAMPION_SECONDS = 60  # how long a warm function goes on with the champion it read
ARTIST_FILE = re.compile(r"([0-9a-z]{1,64})/(index|[1-9][0-9]{0,6})\.json")
"""Bundle version and file of an artist index."""
ANSWER_SECONDS = 25
"""How long the endpoint may take: less than the function may run, so that a caller is told."""
MAX_BODY = 5 * 1024**2  # bytes; SageMaker takes 6 MB
REQUEST = {
    "type": "object",
    "oneOf": [{"required": ["top_artists"]}, {"required": ["listeners"]}],
    "properties": {
        "top_artists": {"type": "array"},
        "listeners": {"type": "array", "minItems": 1},
    },
}
"""What tells a question from something else; the endpoint looks at every field."""

logger = Logger(service="listening-api")
tracer = Tracer(service="listening-api")
metrics = Metrics(namespace="Listening", service="listening-api")
app = APIGatewayHttpResolver()


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an API Gateway request."""
    return app.resolve(event, context)


@app.get("/champion")
def read_champion() -> dict[str, str]:
    """Tell which bundle answers."""
    return {"bundle_version": _champion()}


@app.post("/countries")
def ask_for_countries() -> Response[str]:
    """Answer with the likeliest countries of the listeners in the body."""
    body = _read_body()
    version = _champion()
    logger.append_keys(bundle_version=version)
    answer = _ask(body, version)
    metrics.add_metric(name="answers", unit=MetricUnit.Count, value=1)
    metrics.add_metadata(key="bundle_version", value=version)
    return Response(
        status_code=HTTPStatus.OK, content_type=content_types.APPLICATION_JSON, body=answer
    )


@app.get("/artist_index/<version>/<file>")
def read_artist_file(version: str, file: str) -> Response[str]:
    """Give a file of the index in which the page searches a bundle's artists."""
    place = f"{version}/{file}"
    if not ARTIST_FILE.fullmatch(place):
        raise NotFoundError(f"an artist index has no file {place}")
    key = f"reports/{version}/artist_index/{file}"
    try:
        content = _s3().get_object(Bucket=os.environ["MODELS_BUCKET"], Key=key)["Body"].read()
    except ClientError as error:
        # Without the right to list, S3 answers AccessDenied for what does not exist.
        if error.response["Error"]["Code"] not in {"NoSuchKey", "AccessDenied"}:
            raise
        raise NotFoundError(f"bundle {version} has no artist index") from error
    return Response(
        status_code=HTTPStatus.OK,
        content_type=content_types.APPLICATION_JSON,
        body=content.decode(),
        headers={"Cache-Control": "private, max-age=86400, immutable"},
    )


def _read_body() -> str:
    """Return the request's body.

    Raises
    ------
    BadRequestError
        It is not JSON of the form that the endpoint takes; says what is wrong.
    """
    body = app.current_event.decoded_body or ""
    if len(body) > MAX_BODY:
        raise BadRequestError(f"the body must be at most {MAX_BODY} bytes, got {len(body)}")
    try:
        validate(event=json.loads(body), schema=REQUEST)
    except json.JSONDecodeError as error:
        metrics.add_metric(name="input_errors", unit=MetricUnit.Count, value=1)
        raise BadRequestError(f"the body is not JSON: {error}") from error
    except SchemaValidationError as error:
        metrics.add_metric(name="input_errors", unit=MetricUnit.Count, value=1)
        raise BadRequestError(f"the body is not a question: {error.validation_message}") from error
    return body


@tracer.capture_method(capture_response=False)
def _ask(body: str, version: str) -> str:
    """Send the body to the champion.

    Raises
    ------
    ServiceError
        With the endpoint's own status and reason where it refused the input; 502 where it failed.
    """
    try:
        answer = _runtime().invoke_endpoint(
            EndpointName=os.environ["ENDPOINT"],
            TargetModel=f"{version}/hierarchy.tar.gz",
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


def _champion() -> str:
    return str(_parameters().get(os.environ["CHAMPION_PARAMETER"], max_age=CHAMPION_SECONDS))


@cache
def _parameters() -> SSMProvider:
    return SSMProvider()


@cache
def _s3() -> Any:
    return boto3.client("s3")


@cache
def _runtime() -> Any:
    return boto3.client(
        "sagemaker-runtime",
        config=Config(
            connect_timeout=2, read_timeout=ANSWER_SECONDS, retries={"total_max_attempts": 1}
        ),
    )
