"""Repeated plays, as plain Python finds them, and in whatever order they come."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listening.log.plays import DAY_US, Marked, mark

MIDNIGHT = 19_844 * DAY_US


class Play(NamedTuple):
    """A play, its fields in the order that they are sorted by."""

    owner: int
    started: int
    track: int
    played_s: float
    device: int


PLAYS = st.lists(
    st.builds(
        Play,
        owner=st.integers(0, 2),
        started=st.sampled_from([0, 1, 400_000, 999_999, 1_000_000, 1_400_000, 5_000_000]).map(
            lambda after: MIDNIGHT + after
        ),
        track=st.integers(0, 2),
        played_s=st.sampled_from([float("nan"), 0.0, 20.0, 300.0]),
        device=st.integers(-1, 1),
    ),
    max_size=25,
)


def marked(plays: list[Play]) -> Marked:
    columns = list(zip(*plays, strict=True)) or [()] * len(Play._fields)
    owner, started, track, played_s, device = columns
    return mark(
        owner=np.array(owner, dtype=np.int64),
        started=np.array(started, dtype=np.int64),
        track=np.array(track, dtype=np.int64),
        played_s=np.array(played_s, dtype=np.float64),
        told=(np.array(device, dtype=np.int64),),
    )


def repeated(plays: list[Play]) -> list[bool]:
    """Tell it of plays that are in order."""
    found, latest = [], dict[tuple[int, int], int]()
    for play in plays:
        before = latest.get((play.owner, play.track))
        soon = before is not None and play.started - before < 1_000_000
        found.append(soon and play.started % DAY_US != 0)
        latest[play.owner, play.track] = play.started
    return found


def in_order(plays: list[Play]) -> list[Play]:
    """Sort plays: of those of one moment and track the one heard longest is first."""

    def key(play: Play) -> tuple[float, ...]:
        heard = play.played_s if play.played_s >= 0 else -1.0  # nothing known is least
        return (*play[:3], -heard, play.device)

    return sorted(plays, key=key)


@given(plays=PLAYS)
def test_plays_within_a_second_of_the_same_are_repeated(plays: list[Play]) -> None:
    found = marked(plays)
    ordered = [plays[place] for place in found.order.tolist()]
    assert repr(ordered) == repr(in_order(plays))  # nan is not itself
    assert found.repeated.tolist() == repeated(ordered)


@given(plays=PLAYS, seed=st.integers(0, 100))
def test_plays_in_any_order_are_marked_alike(plays: list[Play], seed: int) -> None:
    shuffled = [plays[place] for place in np.random.default_rng(seed).permutation(len(plays))]
    first, second = marked(plays), marked(shuffled)
    assert repr([plays[i] for i in first.order]) == repr([shuffled[i] for i in second.order])
    for name in ("repeated", "overlaps", "is_bot"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize(
    ("moment", "repeats"), [(MIDNIGHT, 0), (MIDNIGHT + 1, 2), (MIDNIGHT + DAY_US // 2, 2)]
)
def test_only_at_midnight_sharp_the_same_again_is_another_play(moment: int, repeats: int) -> None:
    plays = [Play(0, moment, 1, 100.0, 0)] * 3
    assert marked(plays).repeated.sum() == repeats
