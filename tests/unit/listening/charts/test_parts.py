"""Parts of a track's score: as plain Python sums them, blind to what comes after."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listening.charts.parts import CAP, LEAST_WEIGHT, PARTS, PAST, Heard, parts_before

ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 4),
        st.integers(100, 200),
        st.integers(0, 9),
        st.floats(0, 500),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    max_size=60,
)
HALF_LIFE = 14.0


def heard(rows: list[tuple[float, ...]]) -> Heard:
    columns = list(zip(*rows, strict=True)) or [()] * 7
    owner, track, day = (np.array(values, dtype=np.int64) for values in columns[:3])
    plays, seconds, searches, downloads = (np.array(v, dtype=np.float64) for v in columns[3:])
    return Heard.of(
        owner=owner,
        track=track,
        day=day,
        plays=plays,
        seconds=seconds,
        searches=searches,
        downloads=downloads,
    )


def plain(
    rows: list[tuple[float, ...]], date: int, window: int
) -> dict[tuple[int, int], list[float]]:
    pairs = defaultdict(list)
    for owner, track, *rest in rows:
        if rest[0] < date:
            pairs[owner, track].append(rest)
    sums = {
        pair: [sum(r[i] for r in own if r[0] >= date - window) for i in range(1, 5)]
        for pair, own in pairs.items()
    }
    found = {}
    for (owner, track), own in pairs.items():
        plays, seconds, searches, downloads = sums[owner, track]
        days = {r[0] for r in own if r[1] > 0}
        decayed = 0.5 ** ((date - max(days)) / HALF_LIFE) if days else 0.0
        longest = max(s[1] for (o, _), s in sums.items() if o == owner)
        begins = date - window
        past = {(begins - 1 - day) // window for day in days if day < begins}
        values = {
            "plays": plays,
            "listeners": float(plays > 0),
            "capped": min(plays, CAP),
            "decayed": decayed if decayed >= LEAST_WEIGHT else 0.0,
            "rating": seconds / longest if longest else 0.0,
            "past": len({p for p in past if p < PAST}) / PAST,
            "searches": searches,
            "downloads": downloads,
        }
        if any(values.values()):
            found[owner, track] = [values[name] for name in PARTS]
    return found


@given(rows=ROWS, date=st.integers(100, 210), window=st.sampled_from([7, 30]))
def test_parts_are_those_of_plain_python(rows: list, date: int, window: int) -> None:
    some = heard(rows)
    pairs, parts = parts_before(some, date, window=window, half_life=HALF_LIFE)
    first = some.firsts[pairs]
    keys = zip(some.owner[first].tolist(), some.track[first].tolist(), strict=True)
    found = dict(zip(keys, parts.tolist(), strict=True))
    expected = plain(rows, date, window)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values)


@given(rows=ROWS, date=st.integers(100, 200))
def test_what_comes_from_the_date_on_changes_nothing(rows: list, date: int) -> None:
    before = [row for row in rows if row[2] < date]
    changed = [*before, (0, 0, date, 1_000, 9.0, 5, 5), (1, 1, date + 3, 50, 9.0, 0, 0)]
    for window in (7, 30):
        _, ours = parts_before(heard(before), date, window=window, half_life=HALF_LIFE)
        _, theirs = parts_before(heard(changed), date, window=window, half_life=HALF_LIFE)
        assert np.array_equal(ours, theirs)
