"""The inference script: loads an archive, and answers requests with it.

`model_fn` and `transform_fn` are what SageMaker's own containers call (``SAGEMAKER_PROGRAM`` =
``inference.inference``, with the folders ``inference`` and ``listening`` beside each other in
``/opt/ml/model/code``); the server in this folder calls the same two.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from inference.country.answers import load_answerer
from inference.country.inputs import parse
from inference.country.outputs import negotiate, write

if TYPE_CHECKING:
    from inference.country.answers import Answerer


def model_fn(model_dir: str | Path) -> Answerer:
    """Load the archive that was unpacked into a folder.

    Raises
    ------
    BundleError
        It is not an archive of this project's format, or it was corrupted.
    """
    return load_answerer(Path(model_dir))


def transform_fn(
    model: Answerer, body: bytes | str, content_type: str, accept: str
) -> tuple[bytes, str]:
    """Answer a request.

    Parameters
    ----------
    model
        What `model_fn` returned.
    body, content_type, accept
        The request; see `inference.country.inputs.parse` and `inference.country.outputs.negotiate`.

    Returns
    -------
    bytes, str
        The response's body and its media type.

    Raises
    ------
    RequestError
        The request cannot be answered: names the field, and holds the HTTP status.
    """
    media_type = negotiate(accept, content_type)
    questions = parse(body.encode() if isinstance(body, str) else body, content_type)
    return write(model.answer(questions), media_type), media_type
