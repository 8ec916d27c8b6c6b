"""Sessions of whole listeners to features and splits, without Spark."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glue_jobs.sessions.folding import (
    AS_THEY_ARE,
    BUCKETS,
    FEATURES,
    SALT,
    SPLITS,
    Splitting,
    fold,
)
from listening.sessions.state import FEATURES as NAMES
from listening.sessions.state import SUMMARY, Profile, Session, State
from listening.splits import bucket

GAP, LOG_ENDS, EVERY = 1_800.0, 1.6e9, 7_000.0
WHOLE = Splitting(held_out=0.0, log_ends=LOG_ENDS, gap_s=GAP)
PROFILES = {"a": Profile(1.0, 30.0, 1.4e9), "b": Profile(), "c": Profile(0.0, None, None)}


def session(user: str, number: int) -> dict[str, Any]:
    start = 1.5e9 + number * EVERY
    plays = 1 + (number * 7 + ord(user)) % 4
    return {
        "user_id": user,
        "start": start,
        "end": start + 100.0 * plays + number,
        "plays": plays,
        "skips": plays // 2,
        "artists": 1,
        "top_artist": None if number % 3 else f"artist {number}",
        "is_bot": False,
        "elapsed": [100.0 * (i + 1) for i in range(plays)],
        "skipped": [i < plays // 2 for i in range(plays)],
        "gender": PROFILES[user].gender,
        "age": PROFILES[user].age,
        "registered": PROFILES[user].registered,
        "country": None,
    }


LISTS = {"elapsed": pa.list_(pa.float32()), "skipped": pa.list_(pa.bool_())}
INTEGERS = ("plays", "skips", "artists")
NUMBERS = ("gender", "age", "registered")


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    types = {
        **LISTS,
        **dict.fromkeys(INTEGERS, pa.int32()),
        **dict.fromkeys(NUMBERS, pa.float64()),
        "country": pa.string(),
        "top_artist": pa.string(),
    }
    return pa.table(
        {name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]}
    )


def rows_of(**counts: int) -> list[dict[str, Any]]:
    return [session(user, number) for user, n in counts.items() for number in range(n)]


def test_each_session_is_told_as_the_state_knew_it() -> None:
    rows = rows_of(a=7, b=1, c=4)
    found = fold(table_of(rows), WHOLE)
    assert found.column_names == [field.split()[0] for field in FEATURES.split(", ")]
    told = found.to_pylist()
    assert [(row["user_id"], row["number"]) for row in told] == [
        (user, number) for user, n in (("a", 7), ("b", 1), ("c", 4)) for number in range(n)
    ]
    state = State()
    for row, given_ in zip(told, rows, strict=True):
        if row["number"] == 0:
            state = State(PROFILES[row["user_id"]])
        features, summary = state.features(row["start"]), state.summary()
        assert (len(row["features"]), len(row["summary"])) == (len(NAMES), len(SUMMARY))
        np.testing.assert_array_equal(row["features"], np.float32(features))
        np.testing.assert_array_equal(row["summary"], np.float32(summary))
        assert (row["start"], row["length"]) == (
            given_["start"],
            given_["end"] - given_["start"],
        )
        assert all(row[name] == given_[name] for name in AS_THEY_ARE)
        state.fold(Session(*(given_[name] for name in Session._fields)))


def test_listeners_are_the_same_alone_as_among_others() -> None:
    alone = [fold(table_of(rows_of(**{user: 9})), WHOLE).to_pylist() for user in "abc"]
    assert repr(fold(table_of(rows_of(a=9, b=9, c=9)), WHOLE).to_pylist()) == repr(sum(alone, []))


def test_a_session_that_may_go_on_when_the_log_ends_is_left_out() -> None:
    rows = rows_of(a=4)
    last = rows[-1]["end"]
    for beyond, n in ((GAP + 1.0, 4), (GAP, 3), (0.0, 3)):
        splitting = Splitting(held_out=0.0, log_ends=last + beyond, gap_s=GAP)
        assert fold(table_of(rows), splitting).num_rows == n
        assert len(splitting.of("a", [row["end"] for row in rows])) == n


def test_nothing_that_has_ended_gives_no_rows() -> None:
    splitting = Splitting(held_out=0.0, log_ends=0.0, gap_s=GAP)
    found = fold(table_of(rows_of(a=2, b=1)), splitting)
    assert found.num_rows == 0
    assert found.column_names == fold(table_of(rows_of(a=2)), WHOLE).column_names


def test_later_sessions_change_nothing_but_the_splits() -> None:
    short, long = (fold(table_of(rows_of(a=n)), WHOLE).to_pylist() for n in (5, 40))
    for one, other in zip(short, long, strict=False):
        assert repr(one | {"split": ""}) == repr(other | {"split": ""})


@given(st.integers(0, 400))
def test_splits_are_in_order_of_time_and_of_their_shares(n: int) -> None:
    found = [SPLITS[place] for place in WHOLE.of("a", [float(i) for i in range(n)])]
    counts = [found.count(split) for split in ("train", "validation", "test")]
    assert sum(counts) == n
    shares = zip(counts, (0.6, 0.15, 0.25), strict=True)
    assert all(abs(count - share * n) <= 1.0 for count, share in shares)
    places = [SPLITS.index(split) for split in found]
    assert all(one <= other for one, other in pairwise(places))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_listeners_are_held_out_whole_by_their_hash(share: float) -> None:
    splitting = Splitting(held_out=share, log_ends=LOG_ENDS, gap_s=GAP)
    users = [f"listener {i}" for i in range(2_000)]
    held = set()
    for user in users:
        splits = {SPLITS[place] for place in splitting.of(user, [1.0, 2.0, 3.0, 4.0])}
        if splits == {"held_out"}:
            held.add(user)
        else:
            assert splits == {"train", "validation", "test"}
    assert held == {u for u in users if bucket(u, salt=SALT, buckets=BUCKETS) < share * 1000}
    assert len(held) == pytest.approx(share * len(users), abs=60)


def test_more_held_out_keeps_those_that_were() -> None:
    def held(share: float) -> set[int]:
        splitting = Splitting(held_out=share, log_ends=LOG_ENDS, gap_s=GAP)
        return {i for i in range(500) if splitting.of(f"listener {i}", [1.0]) == [3]}

    assert held(0.1) < held(0.3)
