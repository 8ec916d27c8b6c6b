from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Converted

    Convert = Callable[..., Converted]

PLAYS = "\n".join(
    [
        "u1\tar\t77\t0\t演员\t薛之谦\t254\t261\t0",
        "u1 \tip\t77\t0\t演员\t薛之谦\t3\t261\t0",
        "u2\tar\t0\t0\tmine\tme\t10\t0\t0",
        "u2\tar\t0\t0\tnameless\t\t10\t0\t0",
        "u2\tar\t78\t0\t\t\t7>(0.0.0.0)TM\t-1\t0",
        "\tar\t78\t0\tx\ty\t1\t1\t0",
        "u1\t123\tar\t78\t0\tx\ty\t1\t1\t0",
        "u1\tar\t78\t0\tx\ty\t1\t1\t\t\t\t\t0",
        "",
    ]
)


def test_a_play_log_is_plays_and_tracks_of_its_day(converted: Convert) -> None:
    found = converted({"20170330_1_play.log": PLAYS})
    plays = found.rows["plays"]
    assert {play["played_at"] for play in plays} == {datetime(2017, 3, 30, tzinfo=UTC)}
    assert [(p["user_id"], p["track_id"], p["played_s"], p["device"]) for p in plays] == [
        ("u1", "77", 254, "ar"),
        ("u1", "77", 3, "ip"),
        ("u2", None, 10, "ar"),
        ("u2", "78", None, "ar"),
    ]
    assert found.count("plays").dropped == {
        "wrong number of fields": 2,
        "no listener": 1,
        "no artist": 1,
    }
    assert found.count("plays").emptied == {"played_s": 1}
    assert found.rows["tracks"] == [
        {"track_id": "77", "artist_name": "薛之谦", "track_name": "演员", "length_s": 261},
        {"track_id": "78", "artist_name": None, "track_name": None, "length_s": None},
    ]


def test_a_track_is_listed_once_over_all_logs(converted: Convert) -> None:
    found = converted({"20170330_play.log": PLAYS, "20170331_play.log": PLAYS})
    assert len(found.rows["tracks"]) == 2
    assert found.count("tracks").dropped["track listed before"] == 6
    assert {play["played_at"].day for play in found.rows["plays"]} == {30, 31}


def test_downloads_and_searches_are_events(converted: Convert) -> None:
    found = converted(
        {
            "2017-03-30_down.log": "u1\tar\t77\t演员\t薛之谦\t0\nu1\tEXO\t0\nu1\tip\t0\tx\ty\t0\n",
            "search.log": "u1 \tar \t2017-03-30 00:00:08\tq\nu1\tar\tlate\tq\nu1\tar\t\tq\n",
        }
    )
    assert [(e["user_id"], e["at"], e["kind"], e["track_id"]) for e in found.rows["events"]] == [
        ("u1", datetime(2017, 3, 30, tzinfo=UTC), "download", "77"),
        ("u1", datetime(2017, 3, 30, tzinfo=UTC), "download", None),
        ("u1", datetime(2017, 3, 30, 0, 0, 8, tzinfo=UTC), "search", None),
    ]
    assert found.count("events").dropped == {
        "wrong number of fields": 1,
        "not a time": 1,
        "no time": 1,
    }
    assert found.count("events").emptied == {"track_id": 1}


def test_a_log_without_a_date_needs_one(converted: Convert) -> None:
    with pytest.raises(DataError, match=r"play\.log: rows of this log have no time.*give --date"):
        converted({"play.log": PLAYS})


def test_a_date_that_is_given_is_for_logs_without_one(converted: Convert) -> None:
    found = converted({"play.log": PLAYS, "20170330_play.log": PLAYS}, date=date(2017, 4, 1))
    assert {play["played_at"].date() for play in found.rows["plays"]} == {
        date(2017, 3, 30),
        date(2017, 4, 1),
    }
