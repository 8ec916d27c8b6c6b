"""The inference script as Multi Model Server calls it: ``default_service_handler=mms_handler``."""

from __future__ import annotations

from typing import Any

from inference.inference import model_fn, transform_fn
from listening.errors import RequestError

_models: dict[str, Any] = {}


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[bytes | str] | None:
    """Load the model when called without data; otherwise answer one request."""
    folder = context.system_properties["model_dir"]
    if folder not in _models:
        _models[folder] = model_fn(folder)
    if data is None:
        return None
    content_type = context.get_request_header(0, "Content-Type") or ""
    accept = context.get_request_header(0, "Accept") or ""
    try:
        body, media_type = transform_fn(
            _models[folder], data[0].get("body") or b"", content_type, accept
        )
    except RequestError as error:
        context.set_response_status(code=error.status, phrase="error", idx=0)
        return [str(error)]
    context.set_response_content_type(0, media_type)
    return [body]
