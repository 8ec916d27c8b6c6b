"""The tracks of the invented world: whose they are, how they sound, how they come and go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from listening.log.tables import SOUNDS
from ops.world.tastes import GENRES, Artists, Floats, Integers

FACTORS = 4
"""Dimensions in which listeners and tracks differ beyond their biases."""
HEARD = tuple(name for name in SOUNDS if name not in ("tempo", "danceability"))
"""Features that mix the factors; the other two are drawn for themselves."""
TRACKS_PER_ARTIST = 5
HOT_SHARE = 0.25
"""Of plays: of what is hot this week, instead of the listener's own artists."""
LIFE_DAYS = (10.0, 60.0)
"""Within which a track's popularity falls to a third, once it is out."""


@dataclass(frozen=True)
class Tracks:
    """All tracks, those of one artist one after another.

    Parameters
    ----------
    artist
        Number of its artist, (n_tracks,).
    first
        Number of each artist's first track, (n_artists + 1,).
    length_s
        Seconds, (n_tracks,).
    factors
        (n_tracks, FACTORS); the first ones can be heard in `sounds`.
    bias
        How much better than others it is rated, (n_tracks,).
    sounds
        (n_tracks, len(HEARD)), 0 to 1.
    tempo, danceability
        (n_tracks,).
    hot
        Share of each track among the hot plays of a week, summed up, (n_weeks, n_tracks).
    """

    artist: Integers
    first: Integers
    length_s: Floats
    factors: Floats
    bias: Floats
    sounds: Floats
    tempo: Floats
    danceability: Floats
    hot: Floats

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.artist)

    def table(self, artists: Artists) -> pa.Table:
        """Return the table of tracks."""
        n_artists = len(artists.mbids)
        names = artists.names.slice(0, n_artists)
        ids = track_ids(len(self))
        place = np.arange(len(self)) - self.first[self.artist]
        scene = np.minimum(artists.cumulative[self.artist].astype(np.int64), GENRES)
        return pa.table(
            {
                "track_id": ids,
                "artist_name": names.take(pa.array(self.artist)),
                "track_name": pa.array([f"Song {number + 1}" for number in place.tolist()]),
                "length_s": self.length_s.round(1),
                "genre": pa.array([f"genre {s}" if s < GENRES else "local" for s in scene]),
                **{name: self.sounds[:, i].round(4) for i, name in enumerate(HEARD)},
                "tempo": self.tempo.round(1),
                "danceability": self.danceability.round(4),
            }
        )


def track_ids(n: int) -> pa.Array:
    """Return the ids of all tracks."""
    return pa.array([f"t{number:07d}" for number in range(n)])


def invent_tracks(artists: Artists, *, days: int, rng: np.random.Generator) -> Tracks:
    """Return tracks for all artists.

    Parameters
    ----------
    artists
        Whose.
    days
        How long the log is.
    rng
        Draws.
    """
    n_artists = len(artists.mbids)
    counts = 1 + rng.poisson(TRACKS_PER_ARTIST - 1, n_artists)
    first = np.concatenate([[0], np.cumsum(counts)])
    n = int(first[-1])
    factors = rng.normal(0, 0.35, (n, FACTORS))
    mixing = np.random.default_rng(1).normal(0, 1, (FACTORS, len(HEARD)))
    sounds = 1 / (1 + np.exp(-(2 * factors @ mixing + rng.normal(0, 0.6, (n, len(HEARD))))))
    weeks = -(-days // 7) + 1
    released = rng.integers(-400, days, n)
    life = rng.uniform(*LIFE_DAYS, n)
    appeal = rng.lognormal(0, 1.6, n)
    age = 7.0 * np.arange(weeks)[:, None] - released[None, :]
    weight = np.where(age >= 0, appeal * np.exp(-np.maximum(age, 0) / life), 0)
    return Tracks(
        artist=np.repeat(np.arange(n_artists), counts),
        first=first,
        length_s=rng.lognormal(np.log(215), 0.25, n).clip(60, 900),
        factors=factors,
        bias=rng.normal(0, 0.4, n),
        sounds=sounds,
        tempo=rng.normal(120, 25, n).clip(50, 220),
        danceability=1 / (1 + np.exp(-(3 * factors[:, 0] + rng.normal(0, 0.4, n)))),
        hot=np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True),
    )
