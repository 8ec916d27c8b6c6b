"""Answers to the body of a response, in the media type that the caller accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.bodies import write_csv, write_json, write_json_lines
from inference.media import CSV, JSON, JSON_LINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inference.country.answers import Answer, Answers
    from listening.country.bundle import CountryArchive

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


def write(answers: Answers, media_type: str) -> bytes:
    """Return the response's body in one of the media types of `WRITERS`."""
    return WRITERS[media_type](answers)


def answer_to_json(answer: Answer, bundle: CountryArchive) -> dict[str, Any]:
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
    return write_json(documents, single=answers.single)


def _json_lines(answers: Answers) -> bytes:
    return write_json_lines(answer_to_json(answer, answers.bundle) for answer in answers.items)


def _csv(answers: Answers) -> bytes:
    return write_csv(CSV_COLUMNS, _rows(answers))


def _rows(answers: Answers) -> Iterator[tuple[Any, ...]]:
    bundle = answers.bundle
    for listener, answer in enumerate(answers.items):
        ranked = answer.countries if answer.countries is not None else answer.regions or []
        names = bundle.countries if answer.countries is not None else bundle.region_names
        for place, (code, probability) in enumerate(ranked, start=1):
            yield (
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


WRITERS: dict[str, Callable[[Answers], bytes]] = {JSON: _json, JSON_LINES: _json_lines, CSV: _csv}
