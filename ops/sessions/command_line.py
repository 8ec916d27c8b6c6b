"""What the command line asks of sessions' champion, and how it shows the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from listening.systems import SESSIONS
from ops import store
from ops.cli.console import clock, say, say_json, say_table
from ops.cli.progress import REACH, Journey
from ops.history_files import Asked, read_history
from ops.sessions.client import History, PastSession, SessionsClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.cli.question import Question
    from ops.cli.target import Target
    from ops.connection import Connection

ASKED = Asked(
    system=SESSIONS.name,
    own=("sessions", "plays", "open_session"),
    of_play=("played_at", "ended_at", "played_s"),
    example='{"sessions": [{"start": "2024-05-01T18:00:00Z", "end": "2024-05-01T19:10:00Z"}]}',
)
LISTENERS_ASKED = 5
LONGER_THAN = (1800.0,)
SHOWN = ("0.1", "0.5", "0.9")


def invoke(target: Target, question: Question) -> None:
    """Ask the endpoint how long a session will last.

    Raises
    ------
    DataError
        The file holds no history.
    RequestError, ResourceError
        See `SessionsClient.ask`.
    """
    question.only(("now",), system="sessions")
    content, name = question.content()
    history = read_history(content, name=name, asked=ASKED)
    if question.now is not None:
        history["now"] = question.now
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        longer = () if "longer_than" in history else LONGER_THAN
        client = SessionsClient(connection)
        (answer,) = client.ask([history], longer_than=longer, version=question.version)
    if target.as_json:
        say_json(answer)
    else:
        _say(answer)


def _say(answer: dict[str, Any]) -> None:
    label = ", trained on SYNTHETIC listeners" if answer["synthetic"] else ""
    rows = [("the whole session", answer["length_s"])]
    if "remaining_s" in answer:
        rows.append(("from the last play on", answer["remaining_s"]))
    say_table(
        f"Bundle {answer['bundle_version']}{label}: how long, at {answer['now']}",
        ["", *(f"{float(level):.0%} are shorter than " for level in SHOWN)],
        [(name, *(clock(quantiles[level]) for level in SHOWN)) for name, quantiles in rows],
    )
    for longer in answer.get("longer_than", []):
        say(f"Longer than {clock(longer['seconds'])}: {longer['probability']:.0%}.")
    used = answer["sessions_used"]
    say(f"Based on {answer['based_on']}, {used:,} earlier session{'' if used == 1 else 's'}.")
    for note in answer.get("notes", []):
        say(note)


def ask_some(connection: Connection, features_run: str) -> list[tuple[float, dict[str, Any]]]:
    """Ask how long a few sessions of a features run's test split last, as they begin."""
    prefix = f"{store.features_prefix(SESSIONS.name)}{features_run}/sessions/"
    columns = ["user_id", "number", "start", "length", "plays", "skips"]
    tests = next(store.tables(connection, f"{prefix}split=test/")).select(columns)
    users = tests["user_id"].unique()[:LISTENERS_ASKED]
    parts = [
        found.select(columns).filter(pc.is_in(found["user_id"], value_set=users))
        for split in ("train", "validation", "test")
        for found in store.tables(connection, f"{prefix}split={split}/")
    ]
    every = pa.concat_tables(parts).sort_by([("user_id", "ascending"), ("number", "ascending")])
    first = {row["user_id"]: row["number"] for row in reversed(tests.to_pylist())}
    histories, true = [], []
    for user in users.to_pylist():
        rows = every.filter(pc.equal(every["user_id"], user)).to_pylist()
        asked = next(row for row in rows if row["number"] == first[user])
        past = [
            PastSession(row["start"], row["start"] + row["length"], row["plays"], row["skips"])
            for row in rows
            if row["number"] < first[user]
        ]
        histories.append(History(past, now=asked["start"], user_id=user))
        true.append(asked["length"])
    answers = SessionsClient(connection).ask(histories, longer_than=LONGER_THAN)
    return list(zip(true, answers, strict=True))


def say_some(answers: Sequence[tuple[float, dict[str, Any]]], *, synthetic: bool) -> None:
    """Print what `ask_some` returned; labelled where the listeners are invented."""
    label = " (SYNTHETIC listeners)" if synthetic else ""
    say_table(
        f"How long a few sessions of the test split last{label}",
        ["Listener", "Sessions known ", "Truly ", "Median ", "10 to 90%", "Over 30 min "],
        [
            (
                str(answer["user_id"]),
                f"{answer['sessions_used']:,}",
                clock(true),
                clock(answer["length_s"]["0.5"]),
                f"{clock(answer['length_s']['0.1'])} to {clock(answer['length_s']['0.9'])}",
                f"{answer['longer_than'][0]['probability']:.0%}",
            )
            for true, answer in answers
        ],
    )
