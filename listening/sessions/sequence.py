"""The sessions before a moment as a recurrent forecaster reads them.

Training and the endpoint call the same arithmetic: `step_rows`, over all sessions of all listeners
at once or over the last ones of a single listener.

>>> from listening.sessions.state import Session
>>> past = [Session(0.0, 600.0, 3, 1), Session(7200.0, 9000.0, 8, 0)]
>>> rows = steps(past)
>>> rows.shape
(2, 8)
>>> [round(float(value), 3) for value in rows[:, STEP_FEATURES.index("gap")]]
[0.0, 8.795]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from listening.sessions.habits import DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listening.sessions.state import Session

STEPS = 48
"""How many of the last sessions are read."""

STEP_FEATURES = (
    "length",
    "gap",
    "hour_sin",
    "hour_cos",
    "weekday_sin",
    "weekday_cos",
    "plays",
    "skipped",
)
"""Names of the features of a step.

Length, gap before it and plays are log(1 + x), of seconds and of plays; the gap before a listener's
first session is 0, which no other is. Hour and weekday, in UTC, are those of the start, on a
circle. The last one is the share of plays that were skipped.
"""

DAYS = 7
FloatArray = npt.NDArray[np.float32]


def step_rows(
    *,
    listener: npt.NDArray[np.integer[Any]],
    start: npt.NDArray[np.float64],
    length: npt.NDArray[np.float64],
    plays: npt.NDArray[np.integer[Any]],
    skips: npt.NDArray[np.integer[Any]],
) -> FloatArray:
    """Return the features of sessions as steps, ``(n, len(STEP_FEATURES))``.

    Parameters
    ----------
    listener
        Whose, ``(n,)``: sessions are in order of listener and time.
    start
        Seconds since 1970, UTC, ``(n,)``.
    length
        Seconds, ``(n,)``.
    plays, skips
        How many, and how many of them were skipped, ``(n,)``.
    """
    gap = np.zeros(len(start))
    follows = listener[1:] == listener[:-1]
    gap[1:] = np.where(follows, start[1:] - (start[:-1] + length[:-1]), 0.0)
    # multiplied after the remainder: large angles would lose what a float holds of them
    hour = start % DAY / DAY * (2 * np.pi)
    weekday = start // DAY % DAYS / DAYS * (2 * np.pi)
    columns = (
        np.log1p(length),
        np.log1p(np.maximum(gap, 0.0)),
        np.sin(hour),
        np.cos(hour),
        np.sin(weekday),
        np.cos(weekday),
        np.log1p(plays.astype(np.float64)),
        skips / np.maximum(plays, 1),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def steps(sessions: Sequence[Session]) -> FloatArray:
    """Return the features of the last sessions before a moment.

    Parameters
    ----------
    sessions
        Of one listener in order of time, all ended. Of a long past the last ``STEPS + 1`` will do.

    Returns
    -------
    numpy.ndarray
        ``(T, len(STEP_FEATURES))``, where T is at most `STEPS`.
    """
    last = sessions[-STEPS - 1 :]  # one more, which the first step's gap is counted from
    rows = step_rows(
        listener=np.zeros(len(last), np.int64),
        start=np.array([session.start for session in last], np.float64),
        length=np.array([session.end - session.start for session in last], np.float64),
        plays=np.array([session.plays for session in last], np.int64),
        skips=np.array([session.skips for session in last], np.int64),
    )
    return rows[-STEPS:]


def padded(pasts: Sequence[FloatArray]) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return what `steps` said of several listeners as one array, and the length of each.

    Parameters
    ----------
    pasts
        Of each listener, ``(T, len(STEP_FEATURES))``.

    Returns
    -------
    sequence
        ``(n, STEPS, len(STEP_FEATURES))``, zeros before the first step.
    lengths
        How many of the last steps are real, ``(n,)``.
    """
    lengths = np.array([len(past) for past in pasts], np.int64)
    sequence = np.zeros((len(pasts), STEPS, len(STEP_FEATURES)), np.float32)
    for row, past in zip(sequence, pasts, strict=True):
        row[STEPS - len(past) :] = past
    return sequence, lengths


def windows(
    rows: FloatArray, listener: npt.NDArray[np.integer[Any]], chosen: npt.NDArray[np.integer[Any]]
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return the steps before each of some sessions, as `padded` does.

    Parameters
    ----------
    rows
        What `step_rows` says of all sessions, ``(n_all, len(STEP_FEATURES))``.
    listener
        Whose they are, ``(n_all,)``: from 0 and without gaps, in order.
    chosen
        Places of the sessions that begin, ``(n,)``.
    """
    begins = np.searchsorted(listener, listener[chosen])
    lengths = np.minimum(chosen - begins, STEPS).astype(np.int64)
    places = chosen[:, None] + np.arange(-STEPS, 0)
    real = places >= (chosen - lengths)[:, None]
    sequence = rows[np.where(real, places, 0)]
    sequence[~real] = 0
    return sequence, lengths


def context(features: npt.ArrayLike) -> FloatArray:
    """Return features of moments as a recurrent forecaster reads them: 0 where unknown.

    Parameters
    ----------
    features
        What `State.features` says, ``(..., len(FEATURES))``.
    """
    return np.nan_to_num(np.asarray(features, np.float32), nan=0.0)
