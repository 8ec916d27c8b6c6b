"""What listeners like: artists arranged by scene, and how a listener of a country mixes scenes.

The taste of a listener mixes three kinds of scene: genres that cross borders, the scene of their
region and that of their country. Most listeners play little of the last, so their country can only
be guessed, as with real ones.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from listening.regions import default_regions
from ops.world.names import TONGUE_OF, invent_names

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
ELSEWHERE_SHARE = 0.10  # of listeners, whose taste is of another country than their label
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


def apportioned(total: int, shares: Floats) -> Integers:
    """Return whole numbers that add up to `total` and are nearest to the shares."""
    exact = total * shares
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact)[: total - int(counts.sum())]] += 1
    return counts


@dataclass(frozen=True)
class Artists:
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


def invent_artists(artists: int, rng: np.random.Generator) -> Artists:
    """Return so many artists, their scenes and what the listeners of each country like."""
    shares = country_shares()
    table = default_regions().restricted_to(set(COUNTRIES))
    slugs = [region.slug for region in table.regions]
    region_number = np.array([slugs.index(table.region_of[c]) for c in COUNTRIES])

    genre_sizes = apportioned(int(0.42 * artists), np.full(GENRES, 1 / GENRES))
    region_shares = np.bincount(region_number, shares, len(slugs)) ** 0.5
    region_sizes = apportioned(int(0.10 * artists), region_shares / region_shares.sum())
    country_weights = shares**0.5
    country_sizes = apportioned(
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
    return Artists(
        names=with_damaged(names),
        mbids=pa.array(mbids, pa.string()),
        cumulative=cumulative,
        region_scene=GENRES + region_number,
        country_scene=GENRES + len(slugs) + np.arange(len(COUNTRIES)),
        genre_cumulative=np.cumsum(taste, axis=1) / taste.sum(axis=1, keepdims=True),
        neighbours=[np.flatnonzero(region_number == number) for number in region_number],
        shares=shares,
    )


def _scenes(world: Artists, country: Integers, draws: int, rng: np.random.Generator) -> Integers:
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


def draw_lists(
    world: Artists, country: Integers, most: int, rng: np.random.Generator
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


def _misspelt(name: str, codec: str) -> str:
    """Return the name as a program shows it that reads UTF-8 bytes as another character set."""
    return name.encode().decode(codec, errors="replace") if not name.isascii() else name


def with_damaged(names: list[str]) -> pa.Array:
    """Return the names, then as many of each kind of damaged name: (5 · n_artists,)."""
    return pa.array(
        names
        + [_misspelt(name, "latin-1") for name in names]
        + [_misspelt(name, "mac-roman") for name in names]
        + [name.upper() for name in names]
        + [f"  {name} " for name in names]
    )
