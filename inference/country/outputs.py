"""Answers to the body of a response, in the media type that the caller accepts."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import orjson

from inference.country.inputs import CSV, JSON, JSON_LINES, parse_media_type
from listening.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.country.answers import Answer, Answers
    from listening.country.bundle import Bundle

CSV_COLUMNS = (
    "listener",
    "user_id",
    "place",
    "code",
    "name",
    "probability",
    "known_artists",
    "unknown_artists",
    "prior",
    "bundle_version",
)
"""One line for each country (or region) of each listener; ``listener`` counts from 0."""


def negotiate(accept: str, content_type: str) -> str:
    """Return the media type to answer in.

    Parameters
    ----------
    accept
        The Accept header; empty for none.
    content_type
        The request's: JSON Lines are answered in JSON Lines where anything is accepted.

    Raises
    ------
    RequestError
        406: nothing of what is accepted can be written.
    """
    own = JSON_LINES if parse_media_type(content_type)[0] == JSON_LINES else JSON
    choices = []
    for order, part in enumerate((accept or "*/*").split(",")):
        name, parameters = parse_media_type(part)
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            quality = 0.0
        wanted = own if name in {"*/*", "application/*"} else CSV if name == "text/*" else name
        if wanted in _WRITERS and quality > 0:
            choices.append((-quality, order, wanted))
    if not choices:
        raise RequestError(
            f"Accept {accept[:200]!r}: answers can be {', '.join(_WRITERS)}", status=406
        )
    return min(choices)[2]


def write(answers: Answers, media_type: str) -> bytes:
    """Return the response's body in a media type that `negotiate` returned."""
    return _WRITERS[media_type](answers)


def answer_to_json(answer: Answer, bundle: Bundle) -> dict[str, Any]:
    """Return an answer as plain data, in the form that the endpoint documents."""
    document: dict[str, Any] = {}
    if answer.user_id is not None:
        document["user_id"] = answer.user_id
    if answer.countries is not None:
        names = bundle.countries
        document["countries"] = [
            {"country": code, "name": names[code], "probability": probability}
            for code, probability in answer.countries
        ]
    if answer.regions is not None:
        names = bundle.region_names
        document["regions"] = [
            {"region": slug, "name": names[slug], "probability": probability}
            for slug, probability in answer.regions
        ]
    if answer.known_artists is not None:
        document["known_artists"] = answer.known_artists
        document["unknown_artists"] = answer.unknown_artists
    document["prior"] = answer.prior
    document["bundle_version"] = bundle.version
    if bundle.synthetic:
        document["synthetic"] = True
    if answer.explanation is not None:
        document["explanation"] = answer.explanation.to_json()
    return document


def _json(answers: Answers) -> bytes:
    documents = [answer_to_json(answer, answers.bundle) for answer in answers.items]
    return orjson.dumps(documents[0] if answers.single else {"answers": documents})


def _json_lines(answers: Answers) -> bytes:
    return b"".join(
        orjson.dumps(answer_to_json(answer, answers.bundle), option=orjson.OPT_APPEND_NEWLINE)
        for answer in answers.items
    )


def _csv(answers: Answers) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    bundle = answers.bundle
    for listener, answer in enumerate(answers.items):
        ranked = answer.countries if answer.countries is not None else answer.regions or []
        names = bundle.countries if answer.countries is not None else bundle.region_names
        writer.writerows(
            (
                listener,
                answer.user_id,
                place,
                code,
                names[code],
                probability,
                answer.known_artists,
                answer.unknown_artists,
                str(answer.prior).lower(),
                bundle.version,
            )
            for place, (code, probability) in enumerate(ranked, start=1)
        )
    return text.getvalue().encode()


_WRITERS: dict[str, Callable[[Answers], bytes]] = {JSON: _json, JSON_LINES: _json_lines, CSV: _csv}
