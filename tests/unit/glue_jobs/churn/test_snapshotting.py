"""Which listeners are looked at when, and what is told of them."""

from __future__ import annotations

from typing import Any

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
    whole_partition,
)
from listening.churn.days import COUNTS
from listening.churn.features import FEATURES, POPULATION, Snapshots
from listening.splits import bucket
from tests.unit.listening.churn.plain import Listener, activity, drawn

FIRST, DAYS = 17_000, 200
HORIZONS = (3, 14)
LISTENERS = drawn(11, listeners=120, days=DAYS)
NAMES = [f"listener {i}" for i in range(len(LISTENERS))]


def snapshots(
    log_ends: str = TOGETHER, *, listeners: list[Listener] = LISTENERS, days: int = DAYS
) -> list[dict[str, Any]]:
    """Return the rows of listeners over the first days of their log, named by `NAMES`."""
    dates = Dates.of((FIRST, FIRST + days - 1), every=7, ahead=max(HORIZONS))
    people = Listeners(activity(listeners), pa.array(NAMES[: len(listeners)]), [])
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


def test_of_a_log_too_short_to_divide_all_parts_are_of_the_same_dates() -> None:
    rows = snapshots(days=60)
    dates: dict[str, set[int]] = {}
    for row in rows:
        assert row["split"] == part_of(row["user_id"])
        dates.setdefault(row["split"], set()).add(row["date"])
    assert dates.keys() == {"train", "validation", "test"}
    assert dates["train"] == dates["validation"] == dates["test"]


def test_what_comes_after_the_days_ahead_changes_nothing() -> None:
    until = FIRST + 150
    changed = [
        Listener({day: counts for day, counts in one.days.items() if day < until}, one.came)
        for one in LISTENERS
    ]
    before = [
        [row for row in rows if row["date"] + max(HORIZONS) <= until]
        for rows in (snapshots(), snapshots(listeners=changed))
    ]
    assert before[0] == before[1]
    assert len(before[0]) > 300
    assert snapshots() != snapshots(listeners=changed)


def test_a_listeners_rows_do_not_depend_on_who_else_is_in_the_partition() -> None:
    some = LISTENERS[:30]
    expected = [row for row in snapshots() if row["user_id"] in NAMES[:30]]
    assert snapshots(listeners=some) == expected


def test_rows_of_activity_are_whole_listeners_in_order() -> None:
    columns = {name: [1, 2, 3, 4] for name in COUNTS}
    table = pa.table(
        {
            "user_id": ["bob", "ann", "bob", "ann"],
            "day": pa.array([9, 8, 7, 6], pa.int32()),
            **columns,
            "device": ["car", None, "phone", "car"],
            "came": pa.array([None, 5, None, 5], pa.int32()),
        }
    )
    batches = table.to_batches(max_chunksize=1)
    nothing = batches[0].slice(0, 0)
    found = Listeners.of(whole_partition([nothing, *batches]))
    assert found.user_ids.to_pylist() == ["ann", "bob"]
    assert found.activity.first.tolist() == [0, 2, 4]
    assert found.activity.day.tolist() == [6, 8, 7, 9]
    assert found.activity.counts[:, 0].tolist() == [4, 2, 3, 1]
    devices = [found.devices[i] if i >= 0 else None for i in found.activity.device]
    assert devices == ["car", None, "phone", "car"]
    assert found.activity.came.tolist() == pytest.approx([5, np.nan], nan_ok=True)
    assert whole_partition([]) is None
    assert whole_partition([nothing]) is None


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
