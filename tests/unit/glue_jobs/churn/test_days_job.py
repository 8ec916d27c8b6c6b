"""Days on Spark: however the log is cut into partitions, and whatever the names are."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from glue_jobs.churn.counting import REASONS, TABLES
from listening.churn.days import COUNTS

if TYPE_CHECKING:
    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark

NOW = "2024-06-01T00:00:00+00:00"
MAY = 19_844
"""The first of May of 2024, in days since 1970."""
ODD = ("", "美空ひばり", "two\nlines", 'say "hi"', "a,b", "\u200b", "' OR 1=1", "x" * 500, "\x00")
"""Names of listeners."""
FEW, MANY = "1000000", "7"
"""Plays a partition."""


def play(user: str | None, at: str | None, **more: Any) -> dict[str, Any]:
    row = {"user_id": user, "played_at": at and f"2024-05-{at}+00:00", "track_id": "t1"}
    return row | {"played_s": 100.0} | more


def event(user: str | None, at: str | None, kind: str | None, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "at": at and f"2024-05-{at}+00:00", "kind": kind} | more


def no_play(**damage: Any) -> dict[str, Any]:
    return play("bob", "03T10:00:00") | damage


PLAYS = [
    *(play(name, f"{day:02}T10:00:00") for name in ODD for day in (1, 5)),
    # Ann: by names alone; from the end; a track without a length; a blank device.
    play("ann", "01T23:59:59.5", track_id=None, artist_name="Air", device="phone"),
    play("ann", None, ended_at="2024-05-02T00:01:00+00:00", played_s=200.0, device=" \t"),
    play("ann", "03T10:00:00", track_id="t2", artist_name=" \t", played_s=None),
    # An artist's name of blanks is none.
    play("ann", "03T11:00:00", track_id=None, artist_name="\t"),
    # Of one track on one evening: three, of which two are within a second.
    play("ann", "04T20:00:00"),
    play("ann", "04T20:00:00.9"),
    play("ann", "04T20:00:03"),
    # Dates alone repeat nothing.
    *[play("dates", "01T00:00:00")] * 3,
    no_play(user_id=None),
    no_play(played_at=None),
    no_play(track_id=None),
    no_play(played_s=-0.5),
    no_play(played_s=86_400.5),
    no_play(played_at="1999-12-31T23:59:59+00:00"),
    no_play(played_at="2024-06-01T00:00:00.000001+00:00"),
]
EVENTS = [
    event("ann", "01T12:00:00", "search"),
    event("ann", "01T12:00:00.5", " SEARCH "),  # the same within a second
    event("ann", "01T12:00:00.7", "Download", track_id="t1"),
    event("ann", "01T12:00:00.8", "download", track_id="t2"),
    event("searcher", "09T12:00:00", "search"),
    event(None, "01T12:00:00", "search"),
    event("bob", None, "search"),
    event("bob", "01T12:00:00", "like"),
    event("bob", "01T12:00:00", None),
    event("bob", "01T12:00:00", "search") | {"at": "1999-12-31T00:00:00+00:00"},
    event("bob", "01T12:00:00", "search") | {"at": "2030-01-01T00:00:00+00:00"},
]
TRACKS = [
    {"track_id": "t1", "length_s": 120.0},
    {"track_id": "t1", "length_s": 90.0},
    {"track_id": "t2", "length_s": 0.0},
    {"track_id": None, "length_s": 50.0},
]
USERS = [
    {"user_id": "ann", "registered_at": "2024-02-02T23:59:59+00:00"},
    {"user_id": "ann", "registered_at": "2024-01-01T00:00:00+00:00"},
    {"user_id": "dates", "registered_at": "1969-12-31T23:59:59+00:00"},
    {"user_id": "searcher", "registered_at": None},
    {"user_id": None, "registered_at": "2024-01-01T00:00:00+00:00"},
]


@pytest.fixture(scope="module")
def found(run_glue: RunGlue, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    log = tmp_path_factory.mktemp("log") / "log.json"
    tables = {"plays": PLAYS, "events": EVENTS, "tracks": TRACKS, "users": USERS}
    log.write_text(json.dumps(tables))
    ended = run_glue("tests/unit/glue_jobs/churn/count_days.py", str(log), NOW, FEW, MANY)
    assert ended.returncode == 0, ended.stderr[-3000:]
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result


def test_the_number_of_partitions_changes_nothing(found: dict[str, Any]) -> None:
    assert found[FEW]["partitions"] == 4
    assert found[MANY]["partitions"] == -(-len(PLAYS + EVENTS) // 7)
    few, many = (
        sorted(found[size]["days"], key=lambda day: (day["user_id"], day["day"]))
        for size in (FEW, MANY)
    )
    assert few == many
    assert found[FEW]["quality"] == found[MANY]["quality"]


def test_every_row_of_both_tables_is_counted(found: dict[str, Any]) -> None:
    quality = found[FEW]["quality"]
    for name, rows in zip(TABLES, (PLAYS, EVENTS), strict=True):
        told = quality[name]
        assert told["rows_in"] == len(rows) == told["rows_out"] + sum(told["dropped"].values())
    assert quality["plays"]["dropped"] == {
        **dict.fromkeys(REASONS, 1),
        **{"no_track": 2, "unknown_kind": 0},
    }
    assert {reason: n for reason, n in quality["events"]["dropped"].items() if n} == {
        **{"no_user_id": 1, "no_time": 1, "before_2000": 1, "in_the_future": 1},
        **{"unknown_kind": 2, "repeated": 1},
    }
    days = found[FEW]["days"]
    assert quality["days"] == len(days)
    for table, kinds in (("plays", ("plays",)), ("events", ("searches", "downloads"))):
        assert quality[table]["rows_out"] == sum(day[kind] for day in days for kind in kinds)


def test_listeners_of_odd_names_are_themselves(found: dict[str, Any]) -> None:
    days = Counter(day["user_id"] for day in found[FEW]["days"])
    assert {name: days[name] for name in ODD} == dict.fromkeys(ODD, 2)
    assert days["bob"] == 0


def test_days_of_one_listener(found: dict[str, Any]) -> None:
    days = {day["day"] - MAY: day for day in found[FEW]["days"] if day["user_id"] == "ann"}
    told = {day: [row[name] for name in COUNTS] for day, row in days.items()}
    assert told == {
        0: [2, 1, 2, 300.0, 1, 0, 1],  # the play that ended after midnight began before
        2: [1, 0, 0, 0.0, 0, 0, 0],  # of a track of no length
        3: [2, 0, 0, 200.0, 2, 0, 0],
    }
    assert [days[day]["device"] for day in sorted(days)] == ["phone", None, None]
    (dates,) = (day for day in found[FEW]["days"] if day["user_id"] == "dates")
    assert (dates["day"], dates["plays"]) == (MAY, 3)


def test_accounts_are_as_old_as_their_first_row_says(found: dict[str, Any]) -> None:
    came = {row["user_id"]: row["came"] for row in found["accounts"]}
    assert came == {"ann": 19_723, "dates": -1}
