"""At which dates listeners are looked at: windows inside the log, parts that do not touch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glue_jobs.churn.dates import Dates
from glue_jobs.log_days import log_of
from listening.churn.features import POPULATION


@given(
    first=st.integers(17_000, 17_100),
    days=st.integers(1, 500),
    every=st.integers(1, 30),
    ahead=st.integers(1, 60),
)
def test_what_a_date_needs_is_inside_the_log(first: int, days: int, every: int, ahead: int) -> None:
    last = first + days - 1
    dates = Dates.of((first, last), every=every, ahead=ahead)
    for date in dates.all:
        assert first + POPULATION <= date
        assert date + ahead <= last  # the last day may be cut off
        assert (last - ahead - date) % every == 0
    if not dates.by_time:
        assert dates.train == dates.validation == dates.test
        assert dates.rest == ()
        return
    assert dates.train
    assert max(dates.train) + ahead <= min(dates.validation)
    assert max(dates.validation) + ahead <= min(dates.test)
    assert max(dates.rest) + ahead <= min(dates.test)
    assert {*dates.train, *dates.validation} <= set(dates.rest)
    assert max(dates.test) == max(dates.all)


def test_a_year_of_weeks() -> None:
    dates = Dates.of((0, 364), every=7, ahead=14)
    assert (len(dates.train), len(dates.validation), len(dates.test)) == (26, 9, 9)
    assert (len(dates.rest), dates.by_time) == (36, True)
    assert dates.to_json()["test"][-1] == 350


def test_a_log_too_short_has_no_date() -> None:
    assert Dates.of((0, POPULATION + 13), every=7, ahead=14).test == ()
    assert Dates.of((0, POPULATION + 14), every=7, ahead=14).test == (POPULATION,)


def test_a_few_damaged_times_make_no_log_longer() -> None:
    assert log_of({11_000: 1, 17_000: 400, 17_001: 300, 17_030: 4, 30_000: 3}) == (17_000, 17_030)
    with pytest.raises(ValueError, match="empty"):
        log_of({})


@given(days=st.integers(101, 300), pause=st.integers(1, 30), after=st.integers(-10_000, 10_000))
def test_a_damaged_time_makes_no_small_log_longer(days: int, pause: int, after: int) -> None:
    log = range(17_000, 17_000 + days * pause, pause)
    stray = log[-1] + 30 + after if after > 0 else log[0] - 31 + after
    assert log_of(dict.fromkeys([*log, stray], 1)) == (log[0], log[-1])


def test_a_log_of_parts_apart_is_one() -> None:
    """Exports of listeners from different years."""
    days = {**dict.fromkeys(range(12_000, 12_100), 1), **dict.fromkeys(range(17_000, 17_400), 3)}
    assert log_of(days) == (12_000, 17_399)
    assert log_of({17_000: 1}) == (17_000, 17_000)
