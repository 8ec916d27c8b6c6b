"""What the command line asks of charts' champion, and how it shows the answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from listening.charts.parts import WINDOWS
from listening.errors import DataError
from listening.systems import CHARTS
from ops.charts.client import ChartsClient
from ops.cli.console import say, say_json, say_table
from ops.cli.progress import REACH, Journey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.cli.question import Question
    from ops.cli.target import Target
    from ops.connection import Connection

SHOWN = 5  # tracks after a run
OWN = ("window", "country", "k", "not_heard_by")


def invoke(target: Target, question: Question) -> None:
    """Ask the endpoint what is hot: this week in the world, or what a file of JSON asks for.

    Raises
    ------
    DataError
        The file holds no request.
    RequestError, ResourceError
        See `ChartsClient.ask`.
    """
    question.only(("k",), system=CHARTS.name)
    asked = _request(question)
    if question.k is not None:
        asked["k"] = question.k
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        answer = ChartsClient(connection).ask(**asked, version=question.version)
    if target.as_json:
        say_json(answer)
    else:
        _say(answer)


def _request(question: Question) -> dict[str, Any]:
    if question.file is None:
        return {}
    content, name = question.content()
    try:
        document = json.loads(content)
    except ValueError as error:
        raise DataError(f"{name}: not JSON ({error})") from error
    if not isinstance(document, dict) or not set(OWN).issuperset(document):
        raise DataError(f"{name}: must be an object with some of {', '.join(OWN)}")
    return document


def _say(answer: dict[str, Any]) -> None:
    label = ", SYNTHETIC listeners" if answer["synthetic"] else ""
    when = f", {answer['from']} to {answer['until']}" if "from" in answer else ""
    say_table(
        f"Bundle {answer['bundle_version']}{label}: hot this {answer['window']} in "
        f"{answer['place']}{when}",
        ["# ", "Last week ", "Track", "Artist", "Score ", "Listeners ", "Plays ", ""],
        [
            (
                str(track["rank"]),
                str(track["previous_rank"] or "–"),
                track["track_name"] or track["track_id"] or "",
                track["artist_name"] or "",
                f"{track['score']:.2f}",
                f"{track['listeners']:,}",
                f"{track['plays']:,}",
                " ".join(mark for mark in ("new", "rising") if track[mark]),
            )
            for track in answer["tracks"]
        ],
    )
    for note in answer.get("notes", []):
        say(note)


def ask_some(connection: Connection, features_run: str) -> list[dict[str, Any]]:
    """Ask for the world's lists."""
    del features_run
    return [ChartsClient(connection).ask(window, k=SHOWN) for window in WINDOWS]


def say_some(answers: Sequence[dict[str, Any]], *, synthetic: bool) -> None:
    """Print what `ask_some` returned, which says itself whether listeners are invented."""
    del synthetic
    for answer in answers:
        _say(answer)
