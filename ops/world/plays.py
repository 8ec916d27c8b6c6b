r"""What the invented listeners play in their sessions, search for, download and rate.

- A play is of what is hot this week with probability `HOT_SHARE`, else of one of the listener's own
  artists; a fifth are skipped.
- A rating is :math:`3.3 + b_u + b_t + u_u \cdot v_t + 0.7\,\epsilon`, rounded to 1 to 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ops.world.habits import DAY_S
from ops.world.tracks import FACTORS, HOT_SHARE

if TYPE_CHECKING:
    from ops.world.habits import Sessions
    from ops.world.tastes import Floats, Integers
    from ops.world.tracks import Tracks

SKIPPED = 0.2
LEAST_PER_PLAY = 95.0  # seconds: a session gets so many draws that it is filled
SEARCHED, DOWNLOADED = 0.15, 0.05  # of sessions, of plays heard to their end in them
RATED = 0.04  # of the tracks that a listener played
MEAN_RATING, NOISE = 3.3, 0.7
SCALE = np.arange(1, 6)


@dataclass(frozen=True)
class Plays:
    """Plays in order of listener and time, each (n_plays,).

    Parameters
    ----------
    listener, session, track
        Numbers.
    start
        Seconds since the log's beginning.
    heard
        Seconds.
    """

    listener: Integers
    session: Integers
    track: Integers
    start: Floats
    heard: Floats


@dataclass(frozen=True)
class Likings:
    """How some listeners rate: ``bias`` (n,) and ``factors`` (n, FACTORS)."""

    bias: Floats
    factors: Floats

    @classmethod
    def draw(cls, n: int, rng: np.random.Generator) -> Likings:
        """Draw the likings of so many listeners."""
        return cls(rng.normal(0, 0.45, n), rng.normal(0, 1.0, (n, FACTORS)))


def draw_plays(
    sessions: Sessions,
    tracks: Tracks,
    lists: tuple[Integers, Integers],
    rng: np.random.Generator,
) -> Plays:
    """Fill sessions with plays: the first begins and the last ends with its session.

    Parameters
    ----------
    sessions
        Of some listeners.
    tracks
        All.
    lists
        As `ops.world.tastes.draw_lists` returns them: who plays which artists.
    rng
        Draws.
    """
    counts = np.ceil(sessions.length / LEAST_PER_PLAY).astype(np.int64) + 5
    session = np.repeat(np.arange(len(counts)), counts)
    n = len(session)
    track = _choose(sessions, session, tracks, lists, rng)
    heard = tracks.length_s[track]
    skipped = rng.random(n) < SKIPPED
    heard = np.where(skipped, np.minimum(rng.uniform(4, 60, n), heard), heard)
    pause = rng.uniform(0, 8, n)
    first = np.cumsum(counts) - counts
    begin = np.cumsum(heard + pause) - (heard + pause)
    begin -= begin[first][session]
    length = sessions.length[session]
    kept = begin < length
    last = kept & ~np.concatenate([kept[1:] & (session[1:] == session[:-1]), [False]])
    heard = np.where(last, length - begin, heard)
    return Plays(
        sessions.listener[session][kept],
        session[kept],
        track[kept],
        (sessions.start[session] + begin)[kept],
        heard[kept],
    )


def _choose(
    sessions: Sessions,
    session: Integers,
    tracks: Tracks,
    lists: tuple[Integers, Integers],
    rng: np.random.Generator,
) -> Integers:
    artists, lengths = lists
    ends = np.cumsum(lengths)
    listener = sessions.listener[session]
    n = len(session)
    size = lengths[listener]
    rank = np.floor(size * rng.random(n) ** 2).astype(np.int64)  # the first ones more often
    place = (ends[listener] - size + rank).clip(0, max(len(artists) - 1, 0))
    artist = artists[place]
    has = tracks.first[artist + 1] - tracks.first[artist]
    own = tracks.first[artist] + np.floor(has * rng.random(n) ** 1.5).astype(np.int64)
    week = (sessions.start[session] // (7 * DAY_S)).astype(np.int64)
    hot = np.empty(n, dtype=np.int64)
    draw = rng.random(n)
    for each in np.unique(week):
        rows = np.flatnonzero(week == each)
        hot[rows] = np.searchsorted(tracks.hot[each], draw[rows])
    is_hot = (rng.random(n) < HOT_SHARE) | (size == 0)
    return np.where(is_hot, hot.clip(max=len(tracks) - 1), own)


@dataclass(frozen=True)
class Ratings:
    """Ratings, each (n,): who, what, when, how, and the mean that the law gives."""

    listener: Integers
    track: Integers
    at: Floats
    rating: Integers
    mean: Floats


def draw_ratings(
    plays: Plays, tracks: Tracks, likings: Likings, rng: np.random.Generator
) -> Ratings:
    """Draw ratings of tracks that were played, each once by a listener."""
    chosen = np.flatnonzero(rng.random(len(plays.track)) < RATED)
    pair = plays.listener[chosen] * len(tracks) + plays.track[chosen]
    rows = chosen[np.unique(pair, return_index=True)[1]]
    listener, track = plays.listener[rows], plays.track[rows]
    mean = (
        MEAN_RATING
        + likings.bias[listener]
        + tracks.bias[track]
        + (likings.factors[listener] * tracks.factors[track]).sum(axis=1)
    )
    rating = np.rint(mean + rng.normal(0, NOISE, len(rows))).clip(SCALE[0], SCALE[-1])
    at = plays.start[rows] + plays.heard[rows]
    return Ratings(listener, track, at, rating.astype(np.int64), mean)


def best_rating(mean: Floats) -> Floats:
    """Return the expected rating, rounded and cut, of means that the law gives, (n,)."""
    above = np.array([_above((step + 0.5 - mean) / NOISE) for step in SCALE[:-1]])
    return np.asarray(SCALE[0] + above.sum(axis=0))


def _above(z: Floats) -> Floats:
    """Return the probability that a standard normal exceeds z."""
    return np.asarray(0.5 * np.vectorize(math.erfc)(z / math.sqrt(2)))


@dataclass(frozen=True)
class Events:
    """Searches and downloads, each (n,); a search is of no track, -1."""

    listener: Integers
    at: Floats
    track: Integers


def draw_events(sessions: Sessions, plays: Plays, rng: np.random.Generator) -> Events:
    """Draw searches at the beginning of sessions, and downloads of tracks that were played."""
    searched = np.flatnonzero(rng.random(len(sessions.start)) < SEARCHED)
    downloaded = np.flatnonzero(rng.random(len(plays.track)) < DOWNLOADED)
    listener = np.concatenate([sessions.listener[searched], plays.listener[downloaded]])
    at = np.concatenate([sessions.start[searched], plays.start[downloaded]])
    none = np.full(len(searched), -1, dtype=np.int64)
    track = np.concatenate([none, plays.track[downloaded]])
    order = np.lexsort((at, listener))
    return Events(listener[order], at[order], track[order])
