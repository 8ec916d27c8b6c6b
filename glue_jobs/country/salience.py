"""How much each artist tells of where a listener is from.

Salience is IDF times a power of how far the countries of an artist's listeners are from those of
everybody (Kullback-Leibler divergence).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from glue_jobs.country.svd import idf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glue_jobs.country.packing import Listeners, PackedListeners

Floats = npt.NDArray[np.float32]

PRIOR = 20.0  # listeners that an artist has in advance, from countries as they are
POWER = 0.6
MEAN = 4.5  # root mean square over plays, so that a penalty means the same everywhere


def of_fits(
    packed: Listeners, *, folds: int, countries: int, least: int
) -> tuple[Floats, npt.NDArray[np.float64]]:
    """Return what is known to each fit: those that leave out a fold, and at last one on all.

    Parameters
    ----------
    packed
        Packed listeners with labels and folds.
    folds, countries
        How many.
    least
        Artists with fewer listeners have no salience.

    Returns
    -------
    salience
        (fits, n_artists).
    listeners
        (fits, n_countries) by country.
    """
    heard, listeners = _count(packed, folds, countries)
    heard = np.concatenate([heard.sum(axis=0) - heard, heard.sum(axis=0)[None]])
    listeners = np.concatenate([listeners.sum(axis=0) - listeners, listeners.sum(axis=0)[None]])
    return (
        np.stack([salience(h, n, least=least) for h, n in zip(heard, listeners, strict=True)]),
        listeners,
    )


def salience(
    heard: npt.NDArray[np.float64], listeners: npt.NDArray[np.float64], *, least: int
) -> Floats:
    """Return how much each artist tells, (n_artists,).

    Parameters
    ----------
    heard
        (n_artists, n_countries) listeners of each artist by country.
    listeners
        (n_countries,) all listeners by country.
    least
        Artists with fewer listeners get 0.
    """
    share = listeners / listeners.sum()
    frequency = heard.sum(axis=1)
    seen = (heard + PRIOR * share) / (frequency + PRIOR)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = np.where(seen > 0, seen * np.log(seen / share), 0).sum(axis=1)
    weight = idf(frequency.astype(np.int64), int(listeners.sum())) * (
        np.maximum(divergence, 0) ** POWER
    )
    weight[frequency < least] = 0
    mean = np.sqrt((frequency * np.square(weight)).sum() / max(frequency.sum(), 1))
    scaled: Floats = (weight * (MEAN / mean if mean > 0 else 0)).astype(np.float32)
    return scaled


def _count(
    packed: Listeners, folds: int, countries: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Count listeners by fold, artist and country, and by fold and country."""
    artists = packed.artists

    def contribution(rows: Iterator[PackedListeners], _: None) -> Floats:
        total = np.zeros((folds, artists + 1, countries), dtype=np.float32)
        for listeners in rows:
            labels = listeners.labels.astype(np.int64)
            owner = np.repeat(np.arange(len(labels)), np.diff(listeners.plays.indptr))
            place = listeners.plays.indices.astype(np.int64) * countries + labels[owner]
            for fold in range(folds):
                inside = listeners.folds == fold
                counts = np.bincount(place[inside[owner]], minlength=artists * countries)
                total[fold, :-1] += counts.reshape(artists, countries)
                total[fold, -1] += np.bincount(labels[inside], minlength=countries)
        return total

    both = packed.sum(contribution, (folds, artists + 1, countries), None).astype(np.float64)
    return both[:, :-1], both[:, -1]
