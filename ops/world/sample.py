"""Country's sample: listeners with countries and top artists, with the dirt of real exports."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pycountry

from listening.errors import DataError
from listening.log.raw_formats import SYNTHETIC
from ops.world.tastes import (
    COUNTRIES,
    Artists,
    Integers,
    apportioned,
    draw_lists,
    invent_artists,
)

if TYPE_CHECKING:
    from pathlib import Path

LEAST_LISTENERS = 500
MOST_LISTENERS = 320_000
LISTENERS_PER_CHUNK = 20_000

PLACELESS_SHARE = 0.03  # of listeners, whose label names no country
PLACELESS_LABELS = (None, "", "none", "Atlantis", "Middle-earth")
PLACELESS_WEIGHTS = (0.5, 0.2, 0.2, 0.05, 0.05)
ODD_LABELS = {"MK": "Macedonia", "US": "United States of America", "CZ": "Czech Republic"}
ODD_COUNTS = ("n/a", "unknown", "NaN", "", "-1", "-999")


@dataclass(frozen=True)
class _Plays:
    """The plays of some listeners, one listener after another, each in rank order.

    Parameters
    ----------
    lengths
        How many artists each listener has, (n_listeners,).
    artist
        Artist numbers, (n_plays,).
    rank
        From 1, (n_plays,).
    counts
        Play counts, (n_plays,).
    """

    lengths: Integers
    artist: Integers
    rank: Integers
    counts: Integers

    @property
    def listener(self) -> Integers:
        """The listener of each play, (n_plays,)."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


def _plays(artist: Integers, lengths: Integers, rng: np.random.Generator) -> _Plays:
    """Add play counts that fall with the rank to the lists that `_lists` drew."""
    listener = np.repeat(np.arange(len(lengths)), lengths)
    rank = np.arange(len(listener)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    scale = rng.lognormal(6.0, 1.1, len(lengths))
    decay = rng.uniform(0.4, 0.9, len(lengths))
    counts = np.ceil(scale[listener] * rank ** -decay[listener]).astype(np.int64)
    return _Plays(lengths, artist, rank, counts)


def country_labels() -> list[str]:
    """Return the label of each of `COUNTRIES`, as listeners write it."""
    official = {country.alpha_2: country.name for country in pycountry.countries}
    return [ODD_LABELS.get(code, official[code]) for code in COUNTRIES]


def _plays_table(
    plays: _Plays, user_ids: pa.Array, world: Artists, rng: np.random.Generator
) -> pa.Table:
    """Return the rows of ``top_artists``, dirt included."""
    clean_rows = np.arange(len(plays.rank))
    repeated = np.flatnonzero(rng.random(len(clean_rows)) < 0.002)
    rows = np.sort(np.concatenate([clean_rows, repeated]))
    again = np.concatenate([[False], rows[1:] == rows[:-1]])

    damage = rng.choice(5, len(rows), p=[0.97, 0.01, 0.01, 0.006, 0.004])
    damage[again] = 3  # the same artist a second time, in capitals

    dirt = rng.random(len(rows))
    odd = dirt > 0.997
    odd_counts = rng.choice(ODD_COUNTS, int(odd.sum())).tolist()
    counts = pa.array(plays.counts[rows]).cast(pa.string())
    counts = pc.replace_with_mask(counts, pa.array(odd), pa.array(odd_counts, pa.string()))
    counts = pc.if_else(pa.array(dirt < 0.004), pa.scalar(None, pa.string()), counts)

    artist = plays.artist[rows]
    return pa.table(
        {
            "user_id": pa.DictionaryArray.from_arrays(
                pa.array(plays.listener[rows], pa.int32()), user_ids
            ),
            "rank": pa.array(plays.rank[rows], pa.int32()),
            "artist_name": pa.DictionaryArray.from_arrays(
                pa.array(damage * len(world.mbids) + artist, pa.int32()), world.names
            ),
            "playcount": counts,
            "mbid": world.mbids.take(pa.array(artist)),
        }
    )


def _users_table(
    plays: _Plays, user_ids: pa.Array, labels: pa.Array, rng: np.random.Generator
) -> pa.Table:
    """Return the rows of ``users``; a listener has scrobbled more than the top artists' plays."""
    listeners = len(user_ids)
    listed = np.bincount(plays.listener, plays.counts, listeners)
    totals = np.ceil(listed / rng.beta(4, 3, listeners).clip(0.05)).astype(np.int64)
    return pa.table(
        {
            "user_id": user_ids,
            "country": labels,
            "total_scrobbles": pa.array(totals, mask=rng.random(listeners) < 0.005),
        }
    )


def _check(listeners: int, artists: int, artists_per_listener: int) -> None:
    if not LEAST_LISTENERS <= listeners <= MOST_LISTENERS:
        raise DataError(
            f"a sample has {LEAST_LISTENERS:,} to {MOST_LISTENERS:,} listeners, not {listeners:,}"
        )
    if artists < 1_000:
        raise DataError(f"a sample has at least 1,000 artists, not {artists:,}")
    if not 1 <= artists_per_listener <= 200:
        raise DataError(f"a sample's listener has 1 to 200 artists, not {artists_per_listener}")


def write_sample(
    folder: Path,
    *,
    listeners: int = 10_000,
    seed: int = 20,
    artists: int = 20_000,
    artists_per_listener: int = 50,
) -> None:
    """Write synthetic ``users.parquet`` and ``top_artists.parquet``, and the mark `SYNTHETIC`.

    The same arguments give the same tables. Memory does not grow with `listeners`.

    Parameters
    ----------
    folder
        Where to; made if it is not there.
    listeners
        500 to 320,000.
    seed
        Seed of everything that is drawn.
    artists
        Size of the catalogue, at least 1,000.
    artists_per_listener
        Length of most listeners' lists; some are shorter.

    Raises
    ------
    DataError
        A number is outside its range.

    Examples
    --------
    >>> write_sample(Path("sample"), listeners=10_000)  # doctest: +SKIP
    """
    _check(listeners, artists, artists_per_listener)
    folder.mkdir(parents=True, exist_ok=True)
    world_rng, label_rng, chunk_rng = np.random.default_rng(seed).spawn(3)
    world = invent_artists(artists, world_rng)

    placeless = int(PLACELESS_SHARE * listeners)
    country = np.concatenate(
        [
            np.repeat(np.arange(len(COUNTRIES)), apportioned(listeners - placeless, world.shares)),
            label_rng.choice(len(COUNTRIES), placeless, p=world.shares),
        ]
    )
    label = country.copy()
    label[listeners - placeless :] = len(COUNTRIES) + label_rng.choice(
        len(PLACELESS_LABELS), placeless, p=PLACELESS_WEIGHTS
    )
    order = label_rng.permutation(listeners)
    country, label = country[order], label[order]
    labels = pa.array([*country_labels(), *PLACELESS_LABELS], pa.string())

    chunks = range(0, listeners, LISTENERS_PER_CHUNK)
    with contextlib.ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        for start, rng in zip(chunks, chunk_rng.spawn(len(chunks)), strict=True):
            part = slice(start, start + LISTENERS_PER_CHUNK)
            user_ids = pa.array([f"listener-{i:06d}" for i in range(listeners)[part]])
            plays = _plays(*draw_lists(world, country[part], artists_per_listener, rng), rng)
            tables = {
                "users": _users_table(plays, user_ids, labels.take(pa.array(label[part])), rng),
                "top_artists": _plays_table(plays, user_ids, world, rng),
            }
            for name, table in tables.items():
                if name not in writers:
                    path = folder / f"{name}.parquet"
                    writers[name] = stack.enter_context(
                        pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=False)
                    )
                writers[name].write_table(table)
    (folder / SYNTHETIC).write_text(
        json.dumps({"listeners": listeners, "artists": artists, "seed": seed}) + "\n"
    )
