"""Which listeners are looked at when, and what is told of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from glue_jobs.churn.dates import Dates
from glue_jobs.churn.snapshotting import (
    BUCKETS,
    EACH,
    REST,
    SALT,
    SHARES,
    TOGETHER,
    Listeners,
    Plan,
    snapshots_of,
)
from listening.churn.features import FEATURES, POPULATION, Snapshots
from listening.splits import bucket
from tests.unit.listening.churn.plain import activity, drawn

FIRST, DAYS = 17_000, 200
HORIZONS = (3, 14)
LISTENERS = drawn(11, listeners=120, days=DAYS)
NAMES = [f"listener {i}" for i in range(len(LISTENERS))]


def snapshots(log_ends: str = TOGETHER) -> list[dict[str, object]]:
    dates = Dates.of((FIRST, FIRST + DAYS - 1), every=7, ahead=max(HORIZONS))
    people = Listeners(activity(LISTENERS), pa.array(NAMES), [])
    found = list(snapshots_of(people, Plan(dates, HORIZONS, log_ends)))
    return pa.concat_tables(found).to_pylist()


def part_of(name: str) -> str:
    place = bucket(name, salt=SALT, buckets=BUCKETS) / BUCKETS
    return ("train", "validation", "test")[int(np.searchsorted(SHARES, place, side="right"))]


def test_a_listener_is_in_one_part_and_the_test_is_later() -> None:
    rows = snapshots()
    seen: dict[str, set[str]] = {}
    for row in rows:
        seen.setdefault(row["split"], set()).add(row["user_id"])
        assert row["split"] in (part_of(row["user_id"]), REST)
    assert not seen["test"] & (seen["train"] | seen["validation"] | seen[REST])
    assert not seen["train"] & seen["validation"]
    assert len({(row["user_id"], row["date"]) for row in rows}) == len(rows)
    latest = max(row["date"] for row in rows if row["split"] != "test")
    assert latest + max(HORIZONS) <= min(row["date"] for row in rows if row["split"] == "test")


def test_a_row_is_what_was_known_and_what_came() -> None:
    known = Snapshots(activity(LISTENERS))
    for row in snapshots():
        owner, date = NAMES.index(row["user_id"]), row["date"]
        days = LISTENERS[owner].days
        assert any(date - POPULATION <= day < date for day in days)
        assert row["gone"] == [
            not any(date <= day < date + horizon for day in days) for horizon in HORIZONS
        ]
        expected = known.features(np.array([owner]), date)[0]
        assert row["features"] == pytest.approx(expected.tolist())
        assert len(row["features"]) == len(FEATURES)


def test_where_each_log_ends_by_itself_the_days_ahead_are_inside_it() -> None:
    rows = snapshots(EACH)
    assert 0 < len(rows) < len(snapshots())
    for row in rows:
        last = max(LISTENERS[NAMES.index(row["user_id"])].days)
        assert last >= row["date"] + max(HORIZONS)


def test_the_division_of_listeners_never_changes() -> None:
    names = ("ann", "bob", "cy", "dan", "eve", "flo", "gus", "hal")
    assert [bucket(name, salt=SALT, buckets=BUCKETS) for name in names] == [
        729,
        358,
        348,
        58,
        704,
        563,
        35,
        59,
    ]
