"""A partition of plays and events to days: every row is counted, kept or dropped for a reason."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from glue_jobs.churn.counting import _COUNTED, REASONS, TABLES, _counted
from listening.churn.days import COUNTS

NOW = datetime(2024, 6, 1, tzinfo=UTC)
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("kind", pa.int8()),
        ("played_at", pa.timestamp("us", tz="UTC")),
        ("ended_at", pa.timestamp("us", tz="UTC")),
        ("played_s", pa.float64()),
        ("track_id", pa.int64()),
        ("artist", pa.int64()),
        ("device", pa.string()),
    ]
)
LENGTHS = pa.table({"track": pa.array([5], pa.int64()), "length_s": [200.0]})
PLAY = {
    "user_id": "ann", "kind": 0, "played_at": NOON, "ended_at": None, "played_s": 190.0,
    "track_id": 5, "artist": 2**62, "device": "phone",
}  # fmt: skip
EVENT = PLAY | {"kind": 1, "played_s": None, "track_id": -7, "artist": None, "device": None}


def counted(*rows: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, dict[str, int]]]:
    table = _counted(pa.Table.from_pylist(list(rows), SCHEMA), LENGTHS, NOW)
    *days, last = table.to_pylist()
    found: dict[str, dict[str, int]] = {name: {} for name in TABLES}
    for (name, reason), n in zip(_COUNTED, last["counted"], strict=True):
        found[name][reason] = n
    assert all(day["counted"] is None for day in days)
    return days, found


DAMAGED = {
    "no_user_id": {"user_id": None},
    "no_time": {"played_at": None},
    "no_track": {"track_id": None},
    "negative_length": {"played_s": -1.0},
    "over_a_day": {"played_s": 86_401.0},
    "before_2000": {"played_at": datetime(1999, 12, 31, tzinfo=UTC)},
    "in_the_future": {"played_at": datetime(2025, 1, 1, tzinfo=UTC)},
}


def test_every_row_is_counted_by_its_reason() -> None:
    rows = [PLAY, PLAY, *(PLAY | damage for damage in DAMAGED.values())]
    events = [EVENT, EVENT | {"kind": -1}, EVENT | {"played_at": None}]
    _, found = counted(*rows, *events)
    assert found["plays"] == {
        "kept": 1,
        **dict.fromkeys(REASONS, 0),
        **dict.fromkeys(DAMAGED, 1),
        "repeated": 1,
    }
    assert found["events"] == {
        "kept": 1, **dict.fromkeys(REASONS, 0), "unknown_kind": 1, "no_time": 1
    }  # fmt: skip
    assert sum(n for of in found.values() for n in of.values()) == len(rows) + len(events)


def test_days_have_what_was_done() -> None:
    later = NOON.replace(hour=13)
    days, _ = counted(
        PLAY,
        PLAY | {"played_at": later, "played_s": 10.0, "track_id": 6, "artist": -(2**61)},
        PLAY | {"played_at": NOON.replace(day=2), "device": "car"},
        EVENT | {"played_at": later},
        EVENT | {"user_id": "bob", "kind": 2},
    )
    told = {(day["user_id"], day["day"] - 19_844): day for day in days}
    first = told["ann", 0]
    assert [first[name] for name in COUNTS] == [2, 1, 0, 200.0, 1, 1, 2]
    assert [told["ann", 1]["device"], first["device"]] == ["car", "phone"]
    assert [told["bob", 0][name] for name in COUNTS] == [0, 0, 1, 0, 0, 0, 0]
    assert told["bob", 0]["device"] is None


def test_a_log_of_dates_alone_repeats_nothing() -> None:
    midnight = NOON.replace(hour=0)
    days, found = counted(*[PLAY | {"played_at": midnight}] * 3)
    assert (days[0]["plays"], found["plays"]["repeated"]) == (3, 0)
    _, found = counted(*[PLAY | {"played_at": NOON}] * 3)
    assert found["plays"]["repeated"] == 2


def test_rows_in_any_order_come_to_the_same() -> None:
    rng = np.random.default_rng(0)
    rows = [
        PLAY
        | {
            "user_id": f"u{rng.integers(3)}",
            "played_at": NOON.replace(day=int(rng.integers(1, 9)), minute=int(rng.integers(60))),
            "track_id": int(rng.integers(4)),
        }
        for _ in range(80)
    ]

    for place in range(0, len(rows), 4):  # what repeats another may tell something else
        heard = float(rng.integers(300))
        rows.append(rows[place] | {"played_s": heard, "device": f"d{place % 3}", "artist": place})
    days, told = counted(*rows)
    assert told["plays"]["repeated"] >= 20
    assert [day["user_id"] for day in days] == sorted(day["user_id"] for day in days)
    for _ in range(5):
        assert counted(*(rows[i] for i in rng.permutation(len(rows)))) == (days, told)


def test_of_plays_that_repeat_each_other_the_one_heard_longest_is_kept() -> None:
    days, _ = counted(
        PLAY | {"played_s": None},
        PLAY | {"played_s": 20.0, "device": "car"},
        PLAY | {"played_s": 170.0},
        PLAY | {"played_s": 30.0, "device": None},
    )
    (day,) = days
    assert [day[name] for name in ("plays", "seconds", "full", "skips", "device")] == [
        *(1, 170.0, 1, 0),
        "phone",
    ]


@pytest.mark.parametrize("rows", [[], [PLAY | {"user_id": None}]])
def test_nothing_to_count(rows: list[dict[str, Any]]) -> None:
    days, found = counted(*rows)
    assert days == []
    assert found["plays"]["kept"] == 0
