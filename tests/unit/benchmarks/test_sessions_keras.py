"""A request as the sequence that a recurrent forecaster reads, and its answer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import sessions_keras


def request(n: int) -> bytes:
    sessions = [
        {
            "start": f"2024-05-{day:02d}T18:00:00Z",
            "end": f"2024-05-{day:02d}T19:00:00Z",
            "plays": 10,
            "skips": 2,
        }
        for day in range(1, n + 1)
    ]
    return json.dumps({"sessions": sessions, "now": f"2024-05-{n + 1:02d}T06:00:00Z"}).encode()


def test_a_history_stands_at_the_end_of_the_sequence():
    steps, lengths, context = sessions_keras.sequence(request(3))
    assert steps.shape == (1, sessions_keras.N_STEPS, len(sessions_keras.STEP))
    assert lengths.tolist() == [3]
    assert not steps[0, :-3].any()
    hour, day = 3600, 24 * 3600
    expected = [np.log1p(hour), np.log1p(day - hour), -1, 0, np.log1p(10), 0.2]
    assert steps[0, -1].tolist() == pytest.approx(expected, abs=1e-6)
    assert steps[0, -3, 1] == 0  # nothing is known of the time before the first
    assert context[0].tolist() == pytest.approx([np.log1p(11 * hour), 1, 0, np.log1p(3)], abs=1e-6)


def test_an_answer_is_in_seconds():
    said = json.loads(sessions_keras.answer(np.log1p([[10.0, 20.0]])))
    assert said == {"length_s": {"0.1": 10.0, "0.2": 20.0}}
