"""Synthetic listeners in the raw format, so that the project runs without anybody's data.

The taste of a listener mixes three kinds of scene: genres that cross borders, the scene of their
region and that of their country. Most listeners play little of the last, so their country can only
be guessed, as with real ones. The tables carry the dirt of real exports too.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pycountry

from listening.country.regions import default_regions
from listening.errors import DataError
from listening.log.raw_formats import SYNTHETIC
from ops.sample_names import TONGUE_OF, invent_names

if TYPE_CHECKING:
    from pathlib import Path

LEAST_LISTENERS = 500
MOST_LISTENERS = 320_000
LISTENERS_PER_CHUNK = 20_000

COUNTRIES = (
    "US", "BR", "GB", "DE", "RU", "PL", "UA", "SE", "FI", "NL", "ES", "CA", "AU", "IT", "FR",
    "MX", "NO", "JP", "CL", "TR", "AR", "BE", "CZ", "PT", "AT", "RO", "DK", "ID", "IN", "BG",
    "CH", "IE", "NZ", "HU", "GR", "CN", "RS", "CO", "LT", "HR", "SK", "LV", "EE", "IL", "TH",
    "PH", "KR", "PE", "BY", "ZA", "MY", "SG", "VE", "SI", "TW", "IR", "VN", "HK", "EG", "MK",
    "IS", "PK", "BA", "EC", "KZ", "AE", "LU", "CR", "UY", "GE", "LB", "MD", "SA", "NG", "MA",
    "PR", "GT", "MT", "CY", "AM", "DO", "AL", "BD", "JM", "PY", "KE", "TN", "LK", "SV", "PA",
    "BO", "ME", "DZ", "JO", "AZ", "TT", "IQ", "HN", "NP", "KW", "NI", "ZW", "MN", "QA", "CU",
    "GH", "SY", "BH", "MZ", "AO", "MO", "FO", "KG", "OM", "AD", "BN", "SN", "HT", "CI", "MC",
    "SM", "VA",
)  # fmt: skip
"""The countries of the sample, the largest first."""

GENRES = 14
PLACELESS_SHARE = 0.03  # of listeners, whose label names no country
PLACELESS_LABELS = (None, "", "none", "Atlantis", "Middle-earth")
PLACELESS_WEIGHTS = (0.5, 0.2, 0.2, 0.05, 0.05)
ELSEWHERE_SHARE = 0.10  # of listeners, whose taste is of another country than their label
ODD_LABELS = {"MK": "Macedonia", "US": "United States of America", "CZ": "Czech Republic"}
ODD_COUNTS = ("n/a", "unknown", "NaN", "", "-1", "-999")

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def country_shares() -> Floats:
    """Return each country's share of the listeners, in the order of `COUNTRIES`, (n_countries,).

    A fifth in the largest, then inverse to the rank; from rank 38 on a floor of countries that
    have just over 50 of 10,000 listeners, then countries that have fewer.
    """
    rank = np.arange(1, len(COUNTRIES) + 1, dtype=np.float64)
    shares = 0.206 / rank
    shares[0] = 0.2
    floor = slice(37, 43)
    shares[floor] = np.linspace(0.00556, 0.0054, 6)
    shares[43:] = 0.0046 * 0.948 ** np.arange(len(COUNTRIES) - 43)
    return np.asarray(shares / shares.sum())


def _apportioned(total: int, shares: Floats) -> Integers:
    """Return whole numbers that add up to `total` and are nearest to the shares."""
    exact = total * shares
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact)[: total - int(counts.sum())]] += 1
    return counts


@dataclass(frozen=True)
class _World:
    """The artists, arranged by scene, and what the listeners of each country like.

    A scene is a genre, a region or a country; its artists follow one another in the catalogue.
    """

    names: pa.Array  # clean ones, then damaged ones: (5 · n_artists,)
    mbids: pa.Array  # (n_artists,), null where unknown
    cumulative: Floats  # (n_artists,): scene number + share of the scene's plays up to here
    region_scene: Integers  # (n_countries,)
    country_scene: Integers  # (n_countries,)
    genre_cumulative: Floats  # (n_countries, GENRES)
    neighbours: list[Integers]  # countries of the same region
    shares: Floats


def _world(artists: int, rng: np.random.Generator) -> _World:
    shares = country_shares()
    table = default_regions().restricted_to(set(COUNTRIES))
    slugs = [region.slug for region in table.regions]
    region_number = np.array([slugs.index(table.region_of[c]) for c in COUNTRIES])

    genre_sizes = _apportioned(int(0.42 * artists), np.full(GENRES, 1 / GENRES))
    region_shares = np.bincount(region_number, shares, len(slugs)) ** 0.5
    region_sizes = _apportioned(int(0.10 * artists), region_shares / region_shares.sum())
    country_weights = shares**0.5
    country_sizes = _apportioned(
        artists - int(genre_sizes.sum() + region_sizes.sum()),
        country_weights / country_weights.sum(),
    )
    sizes = np.concatenate([genre_sizes, region_sizes, country_sizes]).clip(1)

    tongues = ["english"] * GENRES
    for number, _ in enumerate(slugs):
        first = int(np.flatnonzero(region_number == number)[0])  # the region's largest country
        tongues.append(TONGUE_OF.get(COUNTRIES[first], "mixed"))
    tongues += [TONGUE_OF.get(country, "mixed") for country in COUNTRIES]
    taken: set[str] = set()
    names = [
        name
        for tongue, size in zip(tongues, sizes, strict=True)
        for name in invent_names(tongue, int(size), taken=taken, rng=rng)
    ]
    mbids = [
        str(uuid.UUID(bytes=rng.bytes(16), version=4)) if known else None
        for known in rng.random(len(names)) < 0.7
    ]
    cumulative = np.concatenate(
        [
            scene + np.cumsum(weights := (np.arange(size) + 4.0) ** -1.0) / weights.sum()
            for scene, size in enumerate(sizes)
        ]
    )
    region_taste = rng.gamma(0.9, size=(len(slugs), GENRES)) + 0.15
    taste = region_taste[region_number] * rng.gamma(2.0, size=(len(COUNTRIES), GENRES))
    return _World(
        names=_with_damaged(names),
        mbids=pa.array(mbids, pa.string()),
        cumulative=cumulative,
        region_scene=GENRES + region_number,
        country_scene=GENRES + len(slugs) + np.arange(len(COUNTRIES)),
        genre_cumulative=np.cumsum(taste, axis=1) / taste.sum(axis=1, keepdims=True),
        neighbours=[np.flatnonzero(region_number == number) for number in region_number],
        shares=shares,
    )


def _scenes(world: _World, country: Integers, draws: int, rng: np.random.Generator) -> Integers:
    """Draw the scene of each of a listener's artists, (n_listeners, draws)."""
    shape = (len(country), draws)

    uniform = rng.random((len(country), 3, 1))
    favourites = (uniform > world.genre_cumulative[country][:, None, :-1]).sum(axis=2)
    favourite = rng.choice(3, shape, p=[0.55, 0.3, 0.15])
    scene = np.take_along_axis(favourites, favourite, axis=1)

    neighbour = np.empty_like(country)
    for here in np.unique(country):
        near = world.neighbours[here]
        weights = world.shares[near] / world.shares[near].sum()
        rows = np.flatnonzero(country == here)
        neighbour[rows] = rng.choice(near, len(rows), p=weights)
    where = rng.random(shape)
    nation = np.where(where < 0.12, neighbour[:, None], country[:, None])
    nation = np.where(where > 0.93, rng.choice(len(COUNTRIES), shape, p=world.shares), nation)

    national = rng.beta(0.28, 3.4, (len(country), 1))  # most listeners: next to nothing
    regional = rng.beta(0.5, 9.0, (len(country), 1))
    kind = rng.random(shape)
    scene = np.where(kind < national + regional, world.region_scene[country][:, None], scene)
    return np.where(kind < national, world.country_scene[nation], scene)


def _lists(
    world: _World, country: Integers, most: int, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Draw each listener's artists, none twice.

    Returns
    -------
    tuple
        Artist numbers in rank order, one listener after another (n_plays,), and the length of
        each listener's list (n_listeners,).
    """
    listeners = len(country)
    elsewhere = rng.random(listeners) < ELSEWHERE_SHARE
    taste = np.where(elsewhere, rng.choice(len(COUNTRIES), listeners, p=world.shares), country)
    scene = _scenes(world, taste, most + most // 2 + 8, rng)  # more than needed: some come twice
    artist = np.searchsorted(world.cumulative, (scene + rng.random(scene.shape)).ravel())
    artist = artist.clip(max=len(world.cumulative) - 1).reshape(scene.shape)

    order = np.argsort(artist, axis=1, kind="stable")
    ordered = np.take_along_axis(artist, order, axis=1)
    again = np.zeros(artist.shape, dtype=bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)

    shorter = rng.integers(min(3, most), most + 1, listeners)
    length = np.where(rng.random(listeners) < 0.85, most, shorter)
    length[rng.random(listeners) < 0.001] = 0
    kept = ~again & (np.cumsum(~again, axis=1) <= length[:, None])
    return artist[kept], kept.sum(axis=1)


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


def _misspelt(name: str, codec: str) -> str:
    """Return the name as a program shows it that reads UTF-8 bytes as another character set."""
    return name.encode().decode(codec, errors="replace") if not name.isascii() else name


def _with_damaged(names: list[str]) -> pa.Array:
    """Return the names, then as many of each kind of damaged name: (5 · n_artists,)."""
    return pa.array(
        names
        + [_misspelt(name, "latin-1") for name in names]
        + [_misspelt(name, "mac-roman") for name in names]
        + [name.upper() for name in names]
        + [f"  {name} " for name in names]
    )


def _country_labels() -> list[str]:
    official = {country.alpha_2: country.name for country in pycountry.countries}
    return [ODD_LABELS.get(code, official[code]) for code in COUNTRIES]


def _plays_table(
    plays: _Plays, user_ids: pa.Array, world: _World, rng: np.random.Generator
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
    world = _world(artists, world_rng)

    placeless = int(PLACELESS_SHARE * listeners)
    country = np.concatenate(
        [
            np.repeat(np.arange(len(COUNTRIES)), _apportioned(listeners - placeless, world.shares)),
            label_rng.choice(len(COUNTRIES), placeless, p=world.shares),
        ]
    )
    label = country.copy()
    label[listeners - placeless :] = len(COUNTRIES) + label_rng.choice(
        len(PLACELESS_LABELS), placeless, p=PLACELESS_WEIGHTS
    )
    order = label_rng.permutation(listeners)
    country, label = country[order], label[order]
    labels = pa.array([*_country_labels(), *PLACELESS_LABELS], pa.string())

    chunks = range(0, listeners, LISTENERS_PER_CHUNK)
    with contextlib.ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        for start, rng in zip(chunks, chunk_rng.spawn(len(chunks)), strict=True):
            part = slice(start, start + LISTENERS_PER_CHUNK)
            user_ids = pa.array([f"listener-{i:06d}" for i in range(listeners)[part]])
            plays = _plays(*_lists(world, country[part], artists_per_listener, rng), rng)
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
