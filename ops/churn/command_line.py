"""What the command line asks of churn's champion, and how it shows the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from listening.systems import CHURN
from ops import store
from ops.churn.client import ChurnClient, Day, Past
from ops.cli.console import say, say_json, say_table
from ops.cli.progress import REACH, Journey
from ops.history_files import Asked, read_history

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.cli.question import Question
    from ops.cli.target import Target
    from ops.connection import Connection

ASKED = Asked(
    system=CHURN.name,
    own=("activity", "plays", "events"),
    of_play=("played_at", "ended_at", "played_s", "artist_name", "track_name"),
    example='{"activity": [{"day": "2024-05-01", "plays": 12}], "as_of": "2024-05-09"}',
)
LISTENERS_ASKED = 5
_OF_DAY = tuple(name for name in Day.__dataclass_fields__ if name != "day")


def invoke(target: Target, question: Question) -> None:
    """Ask the endpoint whether a listener will be gone.

    Raises
    ------
    DataError
        The file holds nothing that a listener did.
    RequestError, ResourceError
        See `ChurnClient.ask`.
    """
    question.only(("now",), system=CHURN.name)
    content, name = question.content()
    past = read_history(content, name=name, asked=ASKED)
    if question.now is not None:
        past["as_of"] = question.now
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        (answer,) = ChurnClient(connection).ask([past], version=question.version)
    if target.as_json:
        say_json(answer)
    else:
        _say(answer)


def _say(answer: dict[str, Any]) -> None:
    label = ", trained on SYNTHETIC listeners" if answer["synthetic"] else ""
    say_table(
        f"Bundle {answer['bundle_version']}{label}: gone, as of {answer['as_of']}",
        ["Nothing for ", "Probability ", "Base rate ", "Recency alone ", "Riskiest tenth "],
        [
            (
                f"{told['days']} days",
                f"{told['probability']:.1%}",
                f"{told['base_rate']:.1%}" if "base_rate" in told else "",
                f"{told['recency_alone']:.1%}",
                str(told.get("decile", "")),
            )
            for told in answer["gone"]
        ],
    )
    for reason in answer["reasons"]:
        say(f"{reason['text']}: {reason['log_odds']:+.1f}")
    for note in answer.get("notes", []):
        say(note)


def ask_some(connection: Connection, features_run: str) -> list[tuple[bool, dict[str, Any]]]:
    """Ask about a few listeners of a features run's test split, at their first date there."""
    manifest = store.features_manifest(connection, features_run, system=CHURN.name)
    prefix = f"{store.features_prefix(CHURN.name)}{features_run}/snapshots/split=test/"
    tests = next(store.tables(connection, prefix)).select(["user_id", "date", "device", "gone"])
    date = pc.min(tests["date"]).as_py()
    rows = tests.filter(pc.equal(tests["date"], date)).slice(0, LISTENERS_ASKED).to_pylist()
    users = pa.array([row["user_id"] for row in rows])
    activity = f"{CHURN.output('activity')}{manifest['activity_run']}/"
    known, came = (
        pa.concat_tables(
            [
                found.filter(pc.is_in(found["user_id"], value_set=users))
                for found in store.tables(connection, f"{activity}{table}/")
            ]
        ).to_pylist()
        for table in ("days", "listeners")
    )
    registered = {row["user_id"]: _date(row["came"]) for row in came}
    when = _date(date)
    pasts = [
        Past(
            [
                Day(_date(day["day"]), **{name: day[name] for name in _OF_DAY})
                for day in known
                if day["user_id"] == row["user_id"] and day["day"] < date
            ],
            as_of=when,
            device=row["device"],
            registered_at=registered.get(row["user_id"]),
            user_id=row["user_id"],
        )
        for row in rows
    ]
    answers = ChurnClient(connection).ask(pasts)
    return [(row["gone"][-1], answer) for row, answer in zip(rows, answers, strict=True)]


def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))


def say_some(answers: Sequence[tuple[bool, dict[str, Any]]], *, synthetic: bool) -> None:
    """Print what `ask_some` returned; labelled where the listeners are invented."""
    label = " (SYNTHETIC listeners)" if synthetic else ""
    days = answers[0][1]["gone"][-1]["days"] if answers else ""
    say_table(
        f"Who of the test split does nothing for {days} days{label}",
        ["Listener", "As of ", "Gone ", "Probability ", "Recency alone ", "Mostly since"],
        [
            (
                str(answer["user_id"]),
                answer["as_of"],
                "yes" if gone else "no",
                f"{answer['gone'][-1]['probability']:.0%}",
                f"{answer['gone'][-1]['recency_alone']:.0%}",
                answer["reasons"][0]["text"] if answer["reasons"] else "",
            )
            for gone, answer in answers
        ],
    )
