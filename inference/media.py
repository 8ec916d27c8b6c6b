"""Media types: what a request's body is, and what its answer is to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from listening.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
NPY = "application/x-npy"
PARQUET = "application/x-parquet"

Reader = TypeVar("Reader")


def parse_media_type(value: str) -> tuple[str, dict[str, str]]:
    """Split a media type such as ``text/csv; k=3`` into its name and its parameters."""
    name, *rest = value.split(";")
    pairs = (part.partition("=") for part in rest)
    parameters = {key.strip().lower(): text.strip().strip('"') for key, _, text in pairs}
    return name.strip().lower(), parameters


def choose_reader(
    content_type: str, readers: Mapping[str, Reader]
) -> tuple[Reader, dict[str, str]]:
    """Return the reader of a body, and the parameters of its media type.

    Parameters
    ----------
    content_type
        The Content-Type header; empty for JSON.
    readers
        By media type.

    Raises
    ------
    RequestError
        415: another media type or charset.
    """
    media_type, parameters = parse_media_type(content_type or JSON)
    reader = readers.get(media_type)
    if reader is None:
        raise RequestError(
            f"Content-Type {media_type!r} is not accepted; send one of {', '.join(readers)}",
            status=415,
        )
    if parameters.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
        raise RequestError("Content-Type: charset must be utf-8", status=415)
    return reader, parameters


def negotiate(accept: str, content_type: str, writable: Collection[str]) -> str:
    """Return the media type to answer in.

    Parameters
    ----------
    accept
        The Accept header; empty for none.
    content_type
        The request's: JSON Lines are answered in JSON Lines where anything is accepted.
    writable
        What answers can be written in.

    Raises
    ------
    RequestError
        406: nothing of what is accepted can be written.
    """
    own = JSON_LINES if parse_media_type(content_type)[0] == JSON_LINES else JSON
    choices: list[tuple[float, int, str]] = []
    qualities: dict[str, float] = {}
    for order, part in enumerate((accept or "*/*").split(",")):
        name, parameters = parse_media_type(part)
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            quality = 0.0
        wanted = own if name in {"*/*", "application/*"} else CSV if name == "text/*" else name
        qualities[name] = quality
        if wanted in writable:
            choices.append((-quality, order, wanted))
    choices = [choice for choice in choices if choice[0] < 0 and _accepts(qualities, choice[2])]
    if not choices:
        raise RequestError(
            f"Accept {accept[:200]!r}: answers can be {', '.join(writable)}", status=406
        )
    return min(choices)[2]


def _accepts(qualities: Mapping[str, float], media_type: str) -> bool:
    """Tell whether the most specific range that names a type accepts it."""
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((qualities[name] for name in ranges if name in qualities), 0.0) > 0
