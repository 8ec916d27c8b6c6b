"""The HTTP side of a worker: SageMaker's contract for containers, as a bare ASGI application.

Multi-model: ``GET /ping``, ``GET /models``, ``POST /models``, ``GET /models/{name}``,
``DELETE /models/{name}``, ``POST /models/{name}/invoke``. Single-model: ``GET /ping``,
``POST /invocations``, ``GET /execution-parameters``.

A small request is answered on the event loop, since handing a millisecond's work to a thread costs
more than it saves; a large one in a thread, so that ``/ping`` and others do not wait for it.
"""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, unquote

import orjson

from inference.inference import transform_fn
from inference.log import log
from listening.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from inference.handlers import Handler
    from inference.settings import Settings

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

SMALL = 64 * 1024  # bytes
PAGE = 100  # models
MAX_PAGE = 1000  # models
MAX_NAME = 1024  # characters
SINGLE = "model"
"""The name under which the one model of single-model mode is held."""

_TARGET = b"x-amzn-sagemaker-target-model"
_ONCE = {b"content-type": "Content-Type", _TARGET: "Target model"}
_JSON_HEADERS = [(b"content-type", b"application/json")]


@dataclass(frozen=True)
class LoadedModel:
    """A model that a worker can answer with, and the folder that it was loaded from."""

    url: str
    handler: Handler


class Host(Protocol):
    """What the application needs of its worker."""

    models: Mapping[str, LoadedModel]

    async def load(self, name: str, url: str) -> tuple[int, str]:
        """Have all workers load a model; return an HTTP status and a sentence."""
        ...

    async def unload(self, name: str) -> tuple[int, str]:
        """Have all workers unload a model; return an HTTP status and a sentence."""
        ...


@dataclass(frozen=True)
class Response:
    """Status, body and media type."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]]

    @classmethod
    def json(cls, document: Any, status: int = 200) -> Response:
        """Make a response of plain data."""
        return cls(status, orjson.dumps(document), _JSON_HEADERS)


class _Disconnected(Exception):
    """The caller left before the request was whole."""


class Application:
    """The ASGI application of one worker.

    Parameters
    ----------
    host
        The worker, which holds the models.
    settings
        The server's.
    """

    def __init__(self, host: Host, settings: Settings) -> None:
        self._host = host
        self._settings = settings
        self._large = ThreadPoolExecutor(1, thread_name_prefix="large-requests")
        self._held = 0  # bytes of bodies in memory
        self._max_held = 8 * settings.max_body

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        target = headers.get(_TARGET, b"").decode("latin-1")
        try:
            headers = _checked(scope["headers"])
            response = await self._route(scope, headers, receive)
        except RequestError as error:
            response = _error(error.status, str(error), target)
        except _Disconnected:
            return
        except Exception as error:  # whatever a caller sends, the worker stays
            request_id = uuid.uuid4().hex
            log("request failed", target=target, request_id=request_id, error=repr(error))
            message = f"the model could not answer; request id {request_id} is in the log"
            response = _error(500, message, target)
        close = [(b"connection", b"close")] if response.status == 413 else []
        length = (b"content-length", str(len(response.body)).encode())
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [*response.headers, length, *close],
            }
        )
        await send({"type": "http.response.body", "body": response.body})

    async def _route(
        self, scope: Mapping[str, Any], headers: dict[bytes, bytes], receive: Receive
    ) -> Response:
        method = scope["method"]
        path = [unquote(part) for part in scope["raw_path"].decode("latin-1").split("/")[1:]]
        match method, path:
            case "GET", ["ping"]:
                return Response(200, b"{}", _JSON_HEADERS)
            case "POST", ["invocations"] if not self._settings.multi_model:
                return await self._invoke(SINGLE, headers, receive)
            case "GET", ["execution-parameters"] if not self._settings.multi_model:
                return self._execution_parameters()
            case "POST", ["models", name, "invoke"] if self._settings.multi_model:
                return await self._invoke(name, headers, receive)
            case _, ["models", *rest] if self._settings.multi_model:
                return await self._manage(method, rest, scope, receive)
        raise RequestError(f"{method} {'/'.join(['', *path])[:200]}: no such operation", status=404)

    async def _manage(
        self, method: str, path: list[str], scope: Mapping[str, Any], receive: Receive
    ) -> Response:
        match method, path:
            case "GET", []:
                return self._list(parse_qs(scope["query_string"].decode("latin-1")))
            case "POST", []:
                name, url = _load_request(await self._body(receive, {}))
                status, message = await self._host.load(name, url)
            case "GET", [name]:
                return Response.json(_description(name, self._model(name)))
            case "DELETE", [name]:
                status, message = await self._host.unload(name)
            case _:
                raise RequestError(f"{method} /models: no such operation", status=405)
        if status != 200:
            return _error(status, message, "")
        return Response.json({"status": message})

    def _model(self, name: str) -> LoadedModel:
        model = self._host.models.get(name)
        if model is None:
            raise RequestError(f"model {name[:200]!r} is not loaded", status=404)
        return model

    def _list(self, query: dict[str, list[str]]) -> Response:
        start = _page_number(query, "next_page_token", 0)
        limit = min(max(_page_number(query, "limit", PAGE), 1), MAX_PAGE)
        loaded = sorted(self._host.models.items())
        page = loaded[start : start + limit]
        document: dict[str, Any] = {"models": [_description(name, model) for name, model in page]}
        if start + limit < len(loaded):
            document["nextPageToken"] = str(start + limit)
        return Response.json(document)

    async def _invoke(self, name: str, headers: dict[bytes, bytes], receive: Receive) -> Response:
        handler = self._model(name).handler
        body = await self._body(receive, headers)
        arguments = (
            handler,
            body,
            headers.get(b"content-type", b"").decode("latin-1"),
            headers.get(b"accept", b"").decode("latin-1"),
        )
        if len(body) <= SMALL:
            result, media_type = transform_fn(*arguments)
        else:
            self._held += len(body)
            try:
                result, media_type = await asyncio.get_running_loop().run_in_executor(
                    self._large, transform_fn, *arguments
                )
            finally:
                self._held -= len(body)
        return Response(200, result, [(b"content-type", media_type.encode())])

    async def _body(self, receive: Receive, headers: dict[bytes, bytes]) -> bytes:
        """Read the body, and keep nothing of one that is too large.

        Of such a body, as much again as is permitted is read: a caller who sends it whole before
        listening would find the connection closed instead of the answer.
        """
        limit = self._settings.max_body
        announced = headers.get(b"content-length", b"0")
        too_large = announced.isdigit() and int(announced) > limit
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            too_large = too_large or size > limit
            more = message.get("more_body")
            if too_large:
                chunks.clear()
                if more and size <= 2 * limit:
                    continue
                raise _too_large(limit)
            if self._held + size > self._max_held:
                raise RequestError("too many large requests at once; try again", status=503)
            if not more:
                return b"".join(chunks)

    def _execution_parameters(self) -> Response:
        return Response.json(
            {
                "MaxConcurrentTransforms": self._settings.workers,
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": self._settings.max_body // 1024**2,
            }
        )


def _checked(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers, those of Accept as one; refuse contradictions and packed bodies."""
    headers: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name in _ONCE and headers.get(name, value) != value:
            raise RequestError(f"{_ONCE[name]}: given twice, with different values; send one")
        is_more = name == b"accept" and name in headers
        headers[name] = headers[name] + b"," + value if is_more else value
    packed = headers.get(b"content-encoding", b"").strip().lower().decode("latin-1")
    if packed not in ("", "identity"):
        raise RequestError(
            f"Content-Encoding {packed[:60]!r} is not accepted; send the body as it is", status=415
        )
    return headers


def _too_large(limit: int) -> RequestError:
    return RequestError(
        f"body: more than {limit} bytes; send fewer listeners in one request", status=413
    )


def _error(status: int, message: str, target: str) -> Response:
    document = {"code": status, "type": HTTPStatus(status).phrase, "message": message}
    if target:
        document["target_model"] = target
    return Response.json(document, status)


def _description(name: str, model: LoadedModel) -> dict[str, str]:
    return {"modelName": name, "modelUrl": model.url}


def _page_number(query: dict[str, list[str]], name: str, default: int) -> int:
    text = query.get(name, [str(default)])[0]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RequestError(f"{name}: must be a whole number, got {text[:60]!r}")
    return int(text)


def _load_request(body: bytes) -> tuple[str, str]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError('must be an object: {"model_name": …, "url": …}')
    for field in ("model_name", "url"):
        value = document.get(field)
        if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or "\0" in value:
            raise RequestError(f"{field}: must be text of 1 to {MAX_NAME} characters")
    return document["model_name"], document["url"]
