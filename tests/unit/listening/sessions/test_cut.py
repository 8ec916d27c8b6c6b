"""Plays to sessions: where one ends, what was heard, and that no play is lost."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listening.log.plays import SKIPPED_S
from listening.sessions.cut import DEFAULT_PLAY_S, GAP_S, SOURCES, Cut, cut, play_lengths

NAN = np.nan


class Play(NamedTuple):
    owner: int
    started: float
    length: float


def cut_of(plays: list[Play], gap_s: float = GAP_S) -> Cut:
    owner, started, length = (np.array(column) for column in zip(*plays, strict=True))
    return cut(owner=owner, started=started, length=length, gap_s=gap_s)


def sessions_of(found: Cut) -> list[tuple[float, float, int, int]]:
    columns = (found.start, found.end, found.plays, found.skips)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def slowly(plays: list[Play], gap_s: float) -> list[list[tuple[Play, float, bool]]]:
    """Return sessions, each play with the time elapsed after it and whether it was skipped."""
    sessions: list[list[Play]] = []
    latest = owner = None
    for play in plays:
        if owner != play.owner or latest is None or play.started - latest > gap_s:
            sessions.append([])
            latest = None
        sessions[-1].append(play)
        end = play.started + play.length
        latest = end if latest is None else max(latest, end)
        owner = play.owner
    told = []
    for session in sessions:
        told.append([])
        for place, play in enumerate(session):
            following = session[place + 1].started if place + 1 < len(session) else np.inf
            heard = min(play.length, following - play.started)
            ends = max(each.started + each.length for each in session[: place + 1])
            told[-1].append((play, ends - session[0].started, heard < SKIPPED_S))
    return told


@st.composite
def logs(draw: st.DrawFn, *, most: int = 4) -> list[Play]:
    plays = []
    for owner in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, 100_000))
        for _ in range(draw(st.integers(1, 12))):
            length = draw(st.sampled_from([0, 5, 29, 30, 31, 200, 1_800, 5_000]))
            plays.append(Play(owner, float(at), float(length)))
            at += draw(st.sampled_from([0, 1, 29, 30, 200, 1_800, 1_801, 2_000, 6_801, 90_000]))
    return plays


@pytest.mark.parametrize(("silence", "sessions"), [(GAP_S, 1), (GAP_S + 1e-3, 2)])
def test_a_session_ends_after_a_silence_over_the_limit(silence: float, sessions: int) -> None:
    found = cut_of([Play(0, 0.0, 100.0), Play(0, 100.0 + silence, 50.0)])
    assert len(found.start) == sessions
    assert found.end[-1] == 150.0 + silence


def test_silence_counts_from_the_latest_end_so_far() -> None:
    long_first = [Play(0, 0.0, 4_000.0), Play(0, 60.0, 60.0), Play(0, 5_800.0, 10.0)]
    found = cut_of(long_first)
    assert sessions_of(found) == [(0.0, 5_810.0, 3, 1)]
    assert found.elapsed.tolist() == [4_000.0, 4_000.0, 5_810.0]
    one_later = [*long_first[:2], Play(0, 5_801.0, 10.0)]
    assert sessions_of(cut_of(one_later)) == [(0.0, 4_000.0, 2, 0), (5_801.0, 5_811.0, 1, 1)]


def test_the_limit_is_what_is_asked_for() -> None:
    plays = [Play(0, 0.0, 10.0), Play(0, 100.0, 10.0)]
    assert len(cut_of(plays, gap_s=90.0).start) == 1
    assert len(cut_of(plays, gap_s=89.0).start) == 2


def test_no_plays_give_no_sessions() -> None:
    none = np.array([])
    found = cut(owner=np.array([], dtype=np.int64), started=none, length=none)
    assert found.first.tolist() == [0]
    assert len(found.start) == len(found.plays) == len(found.elapsed) == 0


def test_lengths_are_of_the_play_its_track_its_listener_or_nobody() -> None:
    found = play_lengths(
        owner=np.array([0, 0, 0, 0, 1, 1, 2]),
        played_s=np.array([10.0, NAN, NAN, 400.0, NAN, NAN, NAN]),
        track_s=np.array([99.0, 200.0, NAN, NAN, NAN, NAN, 77.0]),
    )
    assert found.seconds.tolist() == [10, 200, 105, 400, DEFAULT_PLAY_S, DEFAULT_PLAY_S, 77]
    names = [SOURCES[place] for place in found.source]
    assert names == ["play", "track", "listener", "play", "default", "default", "track"]


LENGTH = st.one_of(st.just(NAN), st.sampled_from([0.0, 3.5, 60.0, 181.0, 3_600.0]))


@given(st.lists(st.tuples(st.integers(0, 3), LENGTH, LENGTH), max_size=30))
def test_lengths_are_those_of_a_slow_loop(rows: list[tuple[int, float, float]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    known = defaultdict(list)  # of each listener, until the play
    columns = np.array(rows, dtype=float).reshape(-1, 3).T
    found = play_lengths(owner=columns[0].astype(int), played_s=columns[1], track_s=columns[2])
    for row, seconds, source in zip(rows, found.seconds, found.source, strict=True):
        usual = median(known[row[0]]) if known[row[0]] else DEFAULT_PLAY_S
        last = "listener" if known[row[0]] else "default"
        choices = zip((*row[1:], usual), ("play", "track", last), strict=True)
        assert (seconds, SOURCES[source]) == next(one for one in choices if not np.isnan(one[0]))
        known[row[0]] += [length for length in row[1:] if not np.isnan(length)][:1]


def test_a_play_is_taken_to_be_as_long_whatever_is_played_later() -> None:
    owner, track_s = np.zeros(3, dtype=np.int64), np.full(3, NAN)
    played_s = np.array([100.0, NAN, 3_000.0])
    whole = play_lengths(owner=owner, played_s=played_s, track_s=track_s)
    until = play_lengths(owner=owner[:2], played_s=played_s[:2], track_s=track_s[:2])
    assert whole.seconds[:2].tolist() == until.seconds.tolist()


def test_a_play_heard_for_less_than_half_a_minute_was_skipped() -> None:
    found = cut_of([Play(0, 0.0, 29.9), Play(0, 100.0, 30.0), Play(0, 200.0, 200.0)])
    assert found.skipped.tolist() == [True, False, False]
    assert found.skips.tolist() == [1]


def test_a_play_of_unknown_length_is_skipped_where_the_next_one_cuts_it_short() -> None:
    owner, started = np.zeros(3, dtype=np.int64), np.array([0.0, 12.0, 42.0])
    unknown = np.full(3, NAN)
    lengths = play_lengths(owner=owner, played_s=unknown, track_s=unknown)
    found = cut(owner=owner, started=started, length=lengths.seconds)
    assert found.skipped.tolist() == [True, False, False]


def test_the_first_play_of_another_session_or_listener_cuts_nothing_short() -> None:
    plays = [Play(0, 1_000.0, 200.0), Play(1, 1_010.0, 200.0), Play(1, 9_000.0, 200.0)]
    assert not cut_of(plays).skipped.any()


@given(logs(), st.sampled_from([0.0, 200.0, GAP_S]))
def test_sessions_are_those_of_a_slow_loop(plays: list[Play], gap_s: float) -> None:
    found, told = cut_of(plays, gap_s), slowly(plays, gap_s)
    assert sessions_of(found) == [
        (
            session[0][0].started,
            session[0][0].started + session[-1][1],
            len(session),
            sum(skipped for *_, skipped in session),
        )
        for session in told
    ]
    flat = [row for session in told for row in session]
    assert found.elapsed.tolist() == [elapsed for _, elapsed, _ in flat]
    assert found.skipped.tolist() == [skipped for *_, skipped in flat]


@given(logs())
def test_every_play_is_in_one_session_and_every_listener_has_one(plays: list[Play]) -> None:
    found = cut_of(plays)
    assert found.plays.sum() == len(plays) == found.first[-1]
    assert (found.plays > 0).all()
    assert np.array_equal(np.diff(found.first), found.plays)
    owners = [plays[first].owner for first in found.first[:-1]]
    assert set(owners) == {play.owner for play in plays}
    for one, other in zip(range(len(owners) - 1), range(1, len(owners)), strict=True):
        if owners[one] == owners[other]:
            assert found.start[other] - found.end[one] > GAP_S


@given(logs(most=6))
def test_plays_of_several_listeners_give_what_each_gives_alone(plays: list[Play]) -> None:
    together = cut_of(plays)
    alone = [
        cut_of([play for play in plays if play.owner == owner])
        for owner in sorted({play.owner for play in plays})
    ]
    assert sessions_of(together) == [row for found in alone for row in sessions_of(found)]
    assert together.elapsed.tolist() == [x for found in alone for x in found.elapsed.tolist()]


def test_fractions_of_a_second_are_the_same_beside_many_listeners() -> None:
    rng = np.random.default_rng(2)
    one = [Play(0, 1.7e9 + 0.123, 4_000.001), Play(0, 1.7e9 + 60.0, 60.0)]
    years = [Play(0, 1.4e9, 1.0)]
    many = [Play(i, t, 1.0) for i in range(1, 3_000) for t in np.sort(1.7e9 + rng.random(2))]
    last = [play._replace(owner=3_000) for play in one]
    together, alone = cut_of([*years, *many, *last]), cut_of(one)
    assert together.elapsed[-2:].tolist() == alone.elapsed.tolist()
