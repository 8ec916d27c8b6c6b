"""What the command line asks of country's champion, and how it shows the answers."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import typer

from ops.cli.console import err, say, say_json, say_table
from ops.cli.progress import REACH, Journey
from ops.country.client import Answer, Artist, CountryClient, Listener
from ops.country.labelled import LabelledListener, test_listeners
from ops.country.listener_files import read_listener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.cli.question import Question
    from ops.cli.target import Target
    from ops.connection import Connection

LISTENERS_ASKED = 5
LIKELIEST = 5
ALL_SCORES = {"--every_country": "true"}


def invoke(target: Target, question: Question) -> None:
    """Ask the endpoint where a listener is from.

    Raises
    ------
    DataError
        The file holds no listener.
    RequestError, ResourceError
        See `CountryClient.ask`.
    """
    question.only(("artist", "k", "explain"), system="country")
    listener = _listener(question)
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        client = CountryClient(connection)
        (answer,) = client.ask(
            [listener],
            k=question.k or LIKELIEST,
            explain=question.explain,
            version=question.version,
        )
    if target.as_json:
        say_json(answer)
    else:
        _say(answer)


def _listener(question: Question) -> Listener:
    if question.artist and question.file is None:
        return Listener([_artist(text) for text in question.artist])
    if question.file is None or question.artist:
        raise typer.BadParameter("give either a file or --artist")
    content, source = question.content()
    read = read_listener(content, source=source)
    for note in read.notes:
        err().print(note, markup=False, soft_wrap=True)
    return read.listener


def _artist(text: str) -> Artist:
    if not text.strip():
        raise typer.BadParameter("--artist has no name")
    name, colon, plays = text.rpartition(":")
    return (
        Artist(name, float(plays))
        if colon and plays.isascii() and plays.isdigit()
        else Artist(text)
    )


def _say(answer: Answer) -> None:
    label = ", trained on SYNTHETIC listeners" if answer.synthetic else ""
    say_table(
        f"Bundle {answer.bundle_version}{label}",
        ["Country", "", "Probability "],
        [(c.code, c.name, f"{c.probability:.1%}") for c in answer.countries],
    )
    say(
        "Regions: "
        + ", ".join(f"{r.name} {r.probability:.0%}" for r in answer.regions[:4] if r.probability)
    )
    say(f"{answer.known_artists} artists known, {answer.unknown_artists} unknown.")
    if answer.is_prior:
        say("Nothing is known of this listener: the answer is how frequent each country is.")
    if answer.explanation is not None:
        say_json(answer.explanation)


def ask_some(connection: Connection, features_run: str) -> list[tuple[LabelledListener, Answer]]:
    """Ask where a few listeners of a features run's test split are from."""
    some = list(islice(test_listeners(connection, features_run), LISTENERS_ASKED))
    answers = CountryClient(connection).ask([labelled.listener for labelled in some])
    return list(zip(some, answers, strict=True))


def say_some(answers: Sequence[tuple[LabelledListener, Answer]], *, synthetic: bool) -> None:
    """Print what `ask_some` returned; labelled where the listeners are invented."""
    label = " (SYNTHETIC listeners)" if synthetic else ""
    say_table(
        f"Where a few listeners of the test split are from{label}",
        ["Listener", "Listens to", "Truly", "The five likeliest countries"],
        [
            (
                labelled.listener.user_id or "",
                ", ".join(artist.name for artist in labelled.listener.top_artists[:3]),
                labelled.country,
                "  ".join(f"{c.code} {c.probability:.0%}" for c in answer.countries),
            )
            for labelled, answer in answers
        ],
    )
