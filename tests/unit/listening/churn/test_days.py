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
