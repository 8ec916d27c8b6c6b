"""Requests to an environment's endpoint, whatever the system: sent until one is answered."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import botocore.exceptions

from listening.errors import RequestError, ResourceError
from ops.connection import explained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.connection import Connection

RETRY_SECONDS = 60
"""How long an endpoint that is still loading or scaling is asked again."""


def invoke(
    connection: Connection, body: bytes, *, target: str, content_type: str = "application/json"
) -> bytes:
    """Send a request to a target model and return the answer's body, which is JSON.

    A request is sent again while the endpoint is throttling, loading or scaling.

    Parameters
    ----------
    connection
        The environment.
    body
        The question, as the target's system takes it.
    target
        See `listening.resources.target_model`.
    content_type
        The body's media type.

    Raises
    ------
    RequestError
        The endpoint refused the request; names the field.
    ResourceError
        The endpoint or the target is missing or failing.
    """
    deadline = time.monotonic() + RETRY_SECONDS
    pause = 0.2  # seconds
    while True:
        try:
            response = connection.sagemaker_runtime.invoke_endpoint(
                EndpointName=connection.names.endpoint,
                TargetModel=target,
                ContentType=content_type,
                Accept="application/json",
                Body=body,
            )
            return bytes(response["Body"].read())
        except botocore.exceptions.ClientError as error:
            if not _is_passing(error) or time.monotonic() + pause > deadline:
                raise _explained(error, connection.names.endpoint, target) from error
        except botocore.exceptions.BotoCoreError:
            with explained(f"asking endpoint {connection.names.endpoint}"):
                raise
        time.sleep(pause)
        pause = min(2 * pause, 5.0)


def ask(connection: Connection, question: Mapping[str, Any], *, target: str) -> list[Any]:
    """Return the answers to a question about several listeners, one for each.

    Parameters
    ----------
    connection
        The environment.
    question
        Has ``listeners``, as the target's system takes them.
    target
        See `listening.resources.target_model`.

    Raises
    ------
    RequestError, ResourceError
        As `invoke`; or the answer is not one of several listeners.
    """
    body = invoke(connection, json.dumps(question).encode(), target=target)
    try:
        answers: list[Any] = json.loads(body)["answers"]
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(body, error) from error
    if len(answers) != len(question["listeners"]):
        raise ResourceError(
            f"the endpoint answered {len(answers)} of {len(question['listeners'])} listeners"
        )
    return answers


def unreadable(answer: object, error: Exception) -> ResourceError:
    """Return the error about an answer that a client does not read."""
    return ResourceError(
        f"the endpoint's answer is not one that this client reads ({error!r}): {str(answer)[:200]}"
    )


def _explained(
    error: botocore.exceptions.ClientError, endpoint: str, target: str
) -> RequestError | ResourceError:
    code = error.response["Error"]["Code"]
    message = error.response["Error"]["Message"]
    if code == "ModelError":
        status = _original_status(error)
        reason = _reason(str(error.response.get("OriginalMessage") or message))
        if 400 <= status < 500:
            return RequestError(reason, status=status)
        return ResourceError(
            f"endpoint {endpoint} failed on {target} with {status}: {reason}; "
            "`listening logs endpoint` shows why"
        )
    return ResourceError(
        f"endpoint {endpoint} cannot answer for {target}: {code}: {message}; "
        "`listening models list` shows which bundles are published"
        if "model data" in message
        else f"endpoint {endpoint} cannot answer for {target}: {code}: {message}; "
        "`listening status` shows what is deployed"
    )


def _is_passing(error: botocore.exceptions.ClientError) -> bool:
    """Tell whether it may work in a moment: throttled, loading, scaling."""
    code = error.response["Error"]["Code"]
    if code == "ModelError":
        return _original_status(error) in (429, 503, 507)
    return code in {
        "ModelNotReadyException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ThrottlingException",
        "InternalDependencyException",
    }


def _reason(body: str) -> str:
    """Return the message in the server's JSON about an error, or what else it said."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    return str(document.get("message", body)) if isinstance(document, dict) else body


def _original_status(error: botocore.exceptions.ClientError) -> int:
    return int(str(error.response.get("OriginalStatusCode", 500)))
