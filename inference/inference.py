"""The inference script: loads an archive, and answers requests with it.

`model_fn` and `transform_fn` are what SageMaker's own containers call (``SAGEMAKER_PROGRAM`` =
``inference.inference``, with the folders ``inference`` and ``listening`` beside each other in
``/opt/ml/model/code``); the server in this folder calls the same two.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from inference.handlers import load_handler

if TYPE_CHECKING:
    from inference.handlers import Handler


def model_fn(model_dir: str | Path) -> Handler:
    """Load the archive that was unpacked into a folder.

    Raises
    ------
    ArchiveError
        It is not an archive of this project's format, or it was corrupted.
    """
    return load_handler(Path(model_dir))


def transform_fn(
    model: Handler, body: bytes | str, content_type: str, accept: str
) -> tuple[bytes, str]:
    """Answer a request.

    Parameters
    ----------
    model
        What `model_fn` returned.
    body, content_type, accept
        The request.

    Returns
    -------
    bytes, str
        The response's body and its media type.

    Raises
    ------
    RequestError
        The request cannot be answered: names the field, and holds the HTTP status.
    """
    return model.answer(body.encode() if isinstance(body, str) else body, content_type, accept)
