"""What is done to what is done by day."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listening.churn.days import COUNTS, FULL_SHARE, KINDS, Done, days_of

DAY_US = 86_400_000_000
NAN = np.nan


def done(rows: list[tuple[int, int, int, float, float, int, int]]) -> Done:
    columns = list(zip(*sorted(rows, key=lambda row: row[:2]), strict=True)) or [()] * 7
    owner, at, kind, played, length, artist, device = columns
    return Done(
        *(np.array(values, dtype=np.int64) for values in (owner, at, kind)),
        *(np.array(values, dtype=np.float64) for values in (played, length)),
        *(np.array(values, dtype=np.int64) for values in (artist, device)),
    )


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(17_000 * DAY_US, 17_004 * DAY_US),
        st.integers(0, 2),
        st.sampled_from([NAN, 0.0, 10.0, 29.9, 30.0, 170.0, 400.0]),
        st.sampled_from([NAN, 0.0, 200.0]),
        st.integers(-1, 2),
        st.integers(-1, 1),
    ),
    max_size=60,
)


@given(rows=ROWS)
def test_days_are_those_of_plain_python(rows: list[tuple[int, ...]]) -> None:
    expected: dict[tuple[int, int], dict[str, float]] = defaultdict(
        lambda: dict.fromkeys(COUNTS, 0)
    )
    artists, devices = defaultdict(set), {}
    for owner, at, kind, played, length, artist, device in sorted(rows, key=lambda row: row[:2]):
        key = (owner, at // DAY_US)
        counts = expected[key]
        counts[KINDS[kind]] += 1
        if device >= 0:
            devices[key] = device
        if KINDS[kind] != "plays":
            continue
        if not np.isnan(played):
            counts["seconds"] += played
            counts["skips"] += played < 30
            counts["full"] += length > 0 and played >= FULL_SHARE * length
        if artist >= 0:
            artists[key].add(artist)
    found = days_of(done(rows), np.full(5, NAN))
    keys = list(zip(found.owner.tolist(), found.day.tolist(), strict=True))
    assert keys == sorted(expected)
    for key, counts in zip(keys, found.counts, strict=True):
        told = expected[key] | {"artists": len(artists[key])}
        assert counts.tolist() == pytest.approx([told[name] for name in COUNTS])
    if len({row[1] for row in rows}) == len(rows):  # else the last of a moment is anyone's
        assert found.device.tolist() == [devices.get(key, -1) for key in keys]
    assert found.first[-1] == len(keys)
    assert len(found.first) == 6


@pytest.mark.parametrize(
    ("played", "length", "full", "skipped"),
    [
        (160.0, 200.0, 1, 0),
        (159.9, 200.0, 0, 0),
        (500.0, 200.0, 1, 0),  # played longer than the track
        (500.0, NAN, 0, 0),
        (500.0, 0.0, 0, 0),  # a track of no length is never heard in full
        (0.0, 0.0, 0, 1),
        (0.0, NAN, 0, 1),
        (29.9, 200.0, 0, 1),
        (30.0, 200.0, 0, 0),
        (NAN, 200.0, 0, 0),  # nobody knows what was heard
        (20.0, 20.0, 1, 1),  # a short one, to its end
    ],
)
def test_full_plays_and_skips(played: float, length: float, full: int, skipped: int) -> None:
    found = days_of(done([(0, 17_000 * DAY_US, 0, played, length, -1, -1)]), np.array([NAN]))
    told = dict(zip(COUNTS, found.counts[0].tolist(), strict=True))
    heard = 0.0 if np.isnan(played) else played
    assert (told["full"], told["skips"], told["seconds"]) == (full, skipped, heard)
    assert (told["plays"], told["artists"]) == (1, 0)


def test_only_plays_are_heard() -> None:
    """Whatever a search or a download says of seconds and artists is not counted."""
    rows = [(0, 17_000 * DAY_US, kind, 200.0, 200.0, 3, 1) for kind in (1, 2)]
    found = days_of(done(rows), np.array([NAN]))
    assert found.counts.tolist() == [[0, 1, 1, 0, 0, 0, 0]]
    assert found.device.tolist() == [1]


def test_a_day_ends_at_midnight_and_a_device_is_the_last_known_of_its_day() -> None:
    midnight = 17_001 * DAY_US
    found = days_of(
        done([
            (0, midnight - 2, 0, NAN, NAN, -1, 4),
            (0, midnight - 1, 0, NAN, NAN, -1, -1),
            (0, midnight, 0, NAN, NAN, -1, -1),
            (1, midnight, 0, NAN, NAN, -1, -1),
        ]),
        np.array([NAN, NAN, 17_000.0]),
    )  # fmt: skip
    assert found.day.tolist() == [17_000, 17_001, 17_001]
    assert found.device.tolist() == [4, -1, -1]  # none is carried over to the next
    assert found.first.tolist() == [0, 2, 3, 3]
    assert found.owner.tolist() == [0, 0, 1]


def test_nothing_done_is_no_day() -> None:
    found = days_of(done([]), np.array([NAN, 17_000.0]))
    assert found.first.tolist() == [0, 0, 0]
    assert found.counts.shape == (0, len(COUNTS))
    assert found.day.size == found.device.size == found.owner.size == 0
