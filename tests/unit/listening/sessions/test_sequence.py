"""Steps: what training reads of a past is what the endpoint reads of it, and nothing later."""

from __future__ import annotations

import math

import numpy as np
import pytest

from listening.sessions.sequence import (
    STEP_FEATURES,
    STEPS,
    context,
    padded,
    step_rows,
    steps,
    windows,
)
from listening.sessions.state import FEATURES, Session, State

DAY, HOUR = 86_400.0, 3_600.0


def sessions_of(seed: int, n: int) -> list[Session]:
    """Return sessions of one listener at times that no float holds exactly."""
    rng = np.random.default_rng(seed)
    found, end = [], 1.7e9 + rng.random() * 1e6
    for _ in range(n):
        start = end + 1800 + rng.exponential(30_000)
        end = start + rng.exponential(3_000)
        plays = int(rng.integers(1, 40))
        found.append(Session(start, end, plays, int(rng.integers(0, plays + 1))))
    return found


LISTENERS = [sessions_of(seed, n) for seed, n in enumerate((1, 7, STEPS, STEPS + 1, 3 * STEPS))]


@pytest.fixture(scope="module")
def table() -> dict[str, np.ndarray]:
    """Return the sessions of all listeners as training has them."""
    everyone = [session for own in LISTENERS for session in own]
    start, end = (np.array([s[place] for s in everyone]) for place in (0, 1))
    return {
        "listener": np.repeat(np.arange(len(LISTENERS)), [len(own) for own in LISTENERS]),
        "start": start,
        "length": end - start,
        "plays": np.array([s.plays for s in everyone]),
        "skips": np.array([s.skips for s in everyone]),
    }


def bits(values: np.ndarray) -> list[int]:
    return list(np.ascontiguousarray(values, np.float32).view(np.uint32).ravel())


def test_trainings_windows_are_the_endpoints_steps_bit_for_bit(table):
    rows, listener = step_rows(**table), table["listener"]
    sequence, lengths = windows(rows, listener, np.arange(len(listener)))
    place = 0
    for own in LISTENERS:
        for number in range(len(own)):
            expected = steps(own[:number])
            assert lengths[place] == len(expected) == min(number, STEPS)
            assert bits(sequence[place, STEPS - len(expected) :]) == bits(expected)
            assert not sequence[place, : STEPS - len(expected)].any()
            place += 1
    assert place == len(sequence)


def test_some_sessions_are_asked_for_in_any_order(table):
    rows, listener = step_rows(**table), table["listener"]
    every, lengths = windows(rows, listener, np.arange(len(listener)))
    chosen = np.array([200, 0, 57, 8])
    some, own = windows(rows, listener, chosen)
    assert np.array_equal(some, every[chosen])
    assert np.array_equal(own, lengths[chosen])


@pytest.mark.parametrize("place", [0, 5, 60, 120, 200])
def test_nothing_of_the_session_or_of_a_later_one_is_known(table, place):
    listener = table["listener"]
    now = np.array([place])
    before = windows(step_rows(**table), listener, now)[0]
    changed = {name: values.copy() for name, values in table.items()}
    for name in ("length", "plays", "skips"):
        changed[name][place:] = changed[name][place:] * 3 + 7
    changed["start"][place + 1 :] += 9_999
    assert np.array_equal(windows(step_rows(**changed), listener, now)[0], before)


def test_a_long_past_is_told_by_its_last_sessions_and_the_one_before():
    own = LISTENERS[-1]
    assert bits(steps(own)) == bits(steps(own[-STEPS - 1 :]))
    assert steps(own).shape == (STEPS, len(STEP_FEATURES))
    assert steps([]).shape == (0, len(STEP_FEATURES))


def test_a_step_says_what_its_names_say():
    # 5 January 1970 was a Monday, the fourth day after a Thursday
    sessions = [
        Session(4 * DAY, 4 * DAY + 600, 4, 1),
        Session(4 * DAY + 6 * HOUR, 4 * DAY + 7 * HOUR, 9, 0),
    ]
    first, second = (dict(zip(STEP_FEATURES, row.tolist(), strict=True)) for row in steps(sessions))
    assert first["gap"] == 0
    assert first["length"] == pytest.approx(math.log1p(600))
    assert (first["hour_sin"], first["hour_cos"]) == (0, 1)
    assert first["weekday_sin"] == pytest.approx(math.sin(8 * math.pi / 7), abs=1e-6)
    assert first["skipped"] == pytest.approx(0.25)
    assert second["gap"] == pytest.approx(math.log1p(6 * HOUR - 600))
    assert (second["hour_sin"], second["hour_cos"]) == pytest.approx((1, 0), abs=1e-6)
    assert second["weekday_cos"] == pytest.approx(first["weekday_cos"])
    assert second["plays"] == pytest.approx(math.log1p(9))


def test_pasts_are_padded_at_the_front():
    pasts = [steps(own) for own in ([], *LISTENERS)]
    sequence, lengths = padded(pasts)
    assert lengths.tolist() == [0, 1, 7, STEPS, STEPS, STEPS]
    assert np.array_equal(sequence[2, -7:], pasts[2])
    assert not sequence[0].any()
    assert not sequence[2, :-7].any()


def test_what_is_not_known_is_0_in_the_context():
    features = State().features(1.7e9)
    assert any(map(math.isnan, features))
    found = context(features)
    assert found.shape == (len(FEATURES),)
    assert found.dtype == np.float32
    unknown = np.isnan(features)
    assert not found[unknown].any()
    assert np.array_equal(found[~unknown], np.float32(features)[~unknown])
