"""From parts to scores, and from scores to lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from listening.charts.parts import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from listening.charts.parts import Floats, Integers

Flags = npt.NDArray[np.bool_]

DECAYED, LISTENERS, CAPPED, PLAYS, PUBLISHED, RISING = METHODS = (
    *("decayed", "listeners", "capped", "plays", "published"),
    "rising",
)
"""The first is the default: `benchmarks/charts.py` says why."""
LEAST_LISTENERS = 3
"""A track with fewer listeners in the window, or lately, is in no list."""
PULL = 20.0
"""So many listeners of the larger place are added to those of a smaller one."""
CALM = 5.0
"""Listeners that are added to a track's own and to its past: few more of few are no trend."""
TWICE = float(np.log(2))
"""A track whose listeners are twice those of its own past, both calmed, is marked as rising."""

WEIGHTS = (1.0, 1.0, 1.0, 1.0)
"""The published weights: of the mean rating and the logarithms of plays, downloads, searches."""
_PLACE = {name: place for place, name in enumerate(PARTS)}


def score(parts: Floats, method: str, *, weights: tuple[float, ...] = WEIGHTS) -> Floats:
    """Return the score of each track, (n,).

    Parameters
    ----------
    parts
        As `PARTS` names them, (n, 8).
    method
        Of `METHODS`. ``published`` is the followed recipe's: mean rating + log plays + log
        downloads + log searches, each of one more than there are.
    weights
        Of the four parts of ``published``.
    """
    return _SCORES[method](parts, weights)


def _published(parts: Floats, weights: tuple[float, ...]) -> Floats:
    listeners = np.maximum(parts[:, _PLACE["listeners"]], 1e-9)
    logs = (np.log1p(parts[:, _PLACE[name]]) for name in ("plays", "downloads", "searches"))
    terms = (parts[:, _PLACE["rating"]] / listeners, *logs)
    return np.asarray(sum(w * term for w, term in zip(weights, terms, strict=True)))


def _rising(parts: Floats, weights: tuple[float, ...]) -> Floats:
    del weights
    return trend(parts)


def trend(parts: Floats) -> Floats:
    """Return the logarithm of each track's listeners beside those of its own past, (n,)."""
    now, past = parts[:, _PLACE["listeners"]], parts[:, _PLACE["past"]]
    return np.log((now + CALM) / (past + CALM))


def _part(name: str) -> Callable[[Floats, tuple[float, ...]], Floats]:
    def part(parts: Floats, weights: tuple[float, ...]) -> Floats:
        del weights
        return parts[:, _PLACE[name]]

    return part


_SCORES: Mapping[str, Callable[[Floats, tuple[float, ...]], Floats]] = {
    **{name: _part(name) for name in (DECAYED, LISTENERS, CAPPED, PLAYS)},
    PUBLISHED: _published,
    RISING: _rising,
}


def enough(parts: Floats, *, method: str, least: int) -> Flags:
    """Return which tracks have enough listeners to be in a list, (n,).

    Parameters
    ----------
    parts
        Of the world, (n, 8).
    method
        Of `METHODS`; where last plays decay, listeners that are not forgotten count too.
    least
        How many they must have.
    """
    listeners = parts[:, _PLACE["listeners"]]
    have = np.maximum(listeners, parts[:, _PLACE["decayed"]]) if method == DECAYED else listeners
    return np.asarray(have >= least)


def best(parts: Floats, scores: Floats, may: Flags, *, most: int) -> Integers:
    """Return the rows of the best tracks, the first first, (at most `most`,).

    Of equal scores the one with more listeners is first, then the one with more plays, then the
    one whose row is first.

    Parameters
    ----------
    parts
        (n, 8), in order of the tracks' keys.
    scores
        (n,).
    may
        Which tracks may be in the list, (n,).
    most
        How long the list is.
    """
    rows = np.flatnonzero(may)
    listeners, plays = (parts[rows, _PLACE[name]] for name in ("listeners", "plays"))
    order = np.lexsort((rows, -plays, -listeners, -scores[rows]))
    return np.asarray(rows[order[:most]])


def shrunk(own: Floats, listeners: float, parent: Floats, of_parent: float) -> Floats:
    """Return the parts of a small place, pulled to what a larger one would have at its size.

    Parameters
    ----------
    own, parent
        Parts of the same tracks in both, (n, 8); the parent's may be shrunk themselves.
    listeners, of_parent
        How many each has.
    """
    expected = parent * (listeners / of_parent)
    weight = listeners / (listeners + PULL)
    return np.asarray(weight * own + (1 - weight) * expected)
