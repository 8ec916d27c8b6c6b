"""The chain's arithmetic: P(country) = P(region) · P(country | region), for each listener.

Everything here works on log-probabilities, needs numpy alone, and answers each listener without
looking at the others of its batch. Who evaluates the trees is the caller's affair: a scorer is
passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from listening.errors import ArchiveError, LayoutError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listening.country.model_spec import ModelSpec

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

CountryScorer = Callable[[int, IndexArray], FloatArray]
"""``(region's place, rows)`` to log Q(country | region), shape ``(len(rows), its countries)``."""

SingleCountryScorer = Callable[[int], FloatArray]
"""``region's place`` to one listener's log Q(country | region), shape ``(its countries,)``."""


def log_softmax(logits: npt.ArrayLike) -> FloatArray:
    """Return the logarithm of `softmax`, over the last axis; never above 0."""
    shifted = np.array(logits, dtype=np.float64, order="C")
    shifted -= np.maximum.reduce(shifted, axis=-1, keepdims=True)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=-1, keepdims=True))
    return shifted


def softmax(logits: npt.ArrayLike) -> FloatArray:
    """Return probabilities that sum to 1 over the last axis."""
    return np.exp(log_softmax(logits))


def logits(
    spec: ModelSpec, features: npt.NDArray[Any], raw_scores: npt.ArrayLike | None = None
) -> FloatArray:
    """Return a model's calibrated scores before normalisation: see `listening.country.model_spec`.

    Parameters
    ----------
    spec
        The model.
    features
        Listeners' whole feature vectors, ``(n_listeners, layout width)`` or ``(layout width,)``.
    raw_scores
        The trees' raw scores, ``(n_listeners, n_classes)`` or ``(n_classes,)``; None for a model
        without trees.

    Raises
    ------
    LayoutError
        The features are too narrow for the model, or the scores do not fit its classes.
    """
    classes = len(spec.classes)
    shape = (*features.shape[:-1], classes)
    if raw_scores is None:
        total = np.zeros(shape)
    else:
        total = np.array(raw_scores, dtype=np.float64, order="C")
        if total.shape != shape:
            raise LayoutError(
                f"model '{spec.name}': raw scores of shape {total.shape}, expected {shape}"
            )
    if spec.base_columns:
        if spec.width > features.shape[-1]:
            raise LayoutError(
                f"model '{spec.name}' reads feature {spec.width - 1}, "
                f"but the features end at {features.shape[-1] - 1}"
            )
        # take, not fancy indexing: it keeps rows contiguous, so that a row is summed the same way
        # alone and in a batch.
        total += np.take(features, spec.base_places, axis=-1)
    total *= spec.scale
    if spec.bias:
        total += spec.bias_values
    return total


def log_probabilities(
    spec: ModelSpec, features: npt.NDArray[Any], raw_scores: npt.ArrayLike | None = None
) -> FloatArray:
    """Return a model's log-probabilities; parameters, shape and errors as in `logits`."""
    log_p = log_softmax(logits(spec, features, raw_scores))
    if not spec.noise:
        return log_p
    return np.log((1 - spec.noise) * np.exp(log_p) + spec.noise * np.asarray(spec.prior))


@dataclass(frozen=True)
class TopK:
    """The likeliest countries of some listeners, best first.

    Parameters
    ----------
    countries
        Places in `Chain.countries`, ``(n_listeners, k)``.
    probabilities
        Their probabilities, ``(n_listeners, k)``.
    visited
        How many regions' countries were scored for each listener, ``(n_listeners,)``.
    """

    countries: IndexArray
    probabilities: FloatArray
    visited: IndexArray


@dataclass(frozen=True)
class Chain:
    """Which countries hang under which region, and how their probabilities combine.

    With noise e and shares p, a country c of region r has

        P(c) = (1 - e) · Q(r) · Q(c | r) + e · p(c),    P(r) = (1 - e) · Q(r) + e · p(r),

    Q(r) and Q(c | r) being the models' answers without noise. Still P(c) = P(r) · P(c | r), and no
    country exceeds its region, which is all that early stopping needs.

    Parameters
    ----------
    regions
        Region slugs, in the order of the region model's outputs.
    members
        The countries of each region, in the order of its country model's outputs.
    noise
        Share of the prior in the probabilities.
    prior
        Share of each country, in the order of `countries`; needed where there is noise.
    """

    regions: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]
    noise: float = 0.0
    prior: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a chain in which a country has no region or two."""
        if len(self.regions) != len(self.members) or not all(self.members):
            raise ArchiveError("every region of the chain needs its countries")
        if len(set(self.countries)) != len(self.countries):
            raise ArchiveError("a country occurs twice in the chain")
        if self.noise and len(self.prior) != len(self.countries):
            raise ArchiveError("a chain with noise needs the share of every country")

    @classmethod
    def of(
        cls, region: ModelSpec, country: Mapping[str, ModelSpec], prior: Mapping[str, float]
    ) -> Chain:
        """Return the chain of a region model and its country models by region slug.

        Parameters
        ----------
        region
            Its noise is the chain's.
        country
            Models without noise of their own.
        prior
            Share of each country.
        """
        missing = [slug for slug in region.classes if slug not in country]
        if missing:
            raise ArchiveError(f"no country model for region {', '.join(missing)}")
        members = tuple(country[slug].classes for slug in region.classes)
        shares = tuple(prior[code] for codes in members for code in codes) if region.noise else ()
        return cls(region.classes, members, region.noise, shares)

    @cached_property
    def countries(self) -> tuple[str, ...]:
        """All countries, region by region."""
        return tuple(country for members in self.members for country in members)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each region's countries start in `countries`."""
        sizes = [len(members) for members in self.members]
        return tuple(int(start) for start in np.cumsum([0, *sizes])[:-1])

    @cached_property
    def _floors(self) -> tuple[FloatArray, ...]:
        """What noise gives each country, by region."""
        shares = self.noise * np.array(self.prior or (0.0,) * len(self.countries))
        return tuple(np.split(shares, self.starts[1:]))

    def _countries(self, region: int, log_region: Any, log_members: FloatArray) -> FloatArray:
        """Return log P(country) of a region's countries.

        Parameters
        ----------
        region
            The region's place.
        log_region
            log P(region), ``(n_listeners, 1)`` or a number.
        log_members
            log Q(country | region), ``(n_listeners, its countries)`` or ``(its countries,)``.
        """
        if not self.noise:
            sure: FloatArray = log_members + log_region
            return sure
        floor = self._floors[region]
        judged = np.maximum(np.exp(log_region) - floor.sum(), 0.0)
        # The last bit must not lift a country above its region: early stopping relies on it.
        noisy = np.log(judged * np.exp(log_members) + floor)
        capped: FloatArray = np.minimum(noisy, log_region)
        return capped

    def joint(self, log_regions: npt.ArrayLike, score: CountryScorer) -> FloatArray:
        """Return log P(country) of every country, ``(n_listeners, n_countries)``.

        Parameters
        ----------
        log_regions
            log P(region), ``(n_listeners, n_regions)``.
        score
            Called once for each region, with all rows.
        """
        log_regions = np.asarray(log_regions, dtype=np.float64)
        rows = np.arange(len(log_regions))
        return np.concatenate(
            [
                self._countries(r, log_regions[:, [r]], score(r, rows))
                for r in range(len(self.regions))
            ],
            axis=1,
        )

    def of_countries(
        self, log_regions: FloatArray, score: CountryScorer, countries: IndexArray
    ) -> FloatArray:
        """Return log P(country) of one country of each listener, ``(n_listeners,)``, as `joint`.

        Parameters
        ----------
        log_regions
            log P(region), ``(n_listeners, n_regions)``.
        score
            Called at most once for each region, with the rows whose country is there.
        countries
            The countries' places in `countries`, ``(n_listeners,)``.
        """
        region_of = np.searchsorted(self.starts, countries, side="right") - 1
        found = np.empty(len(countries))
        for region in np.unique(region_of):
            rows = np.flatnonzero(region_of == region)
            members = self._countries(
                int(region), log_regions[rows, region][:, None], score(int(region), rows)
            )
            found[rows] = members[np.arange(len(rows)), countries[rows] - self.starts[region]]
        return found

    def top_k(self, log_regions: npt.ArrayLike, score: CountryScorer, k: int) -> TopK:
        """Return the k likeliest countries, exactly, visiting only the regions that can hold them.

        Regions are visited by falling P(region). Once the k-th best country found is at least as
        likely as the next region as a whole, no country there can exceed it. Among equals, the
        country of the region visited first wins.

        Parameters
        ----------
        log_regions
            log P(region), ``(n_listeners, n_regions)``.
        score
            Called with the rows that need a region; they are grouped, so that it is called at most
            once for each region and place in the order.
        k
            How many; all countries if there are fewer.
        """
        log_regions = np.asarray(log_regions, dtype=np.float64)
        n, n_regions = log_regions.shape
        k = min(k, len(self.countries))
        order = np.argsort(-log_regions, axis=1, kind="stable")
        best = np.full((n, k), -np.inf)
        places = np.full((n, k), -1, dtype=np.intp)
        visited = np.zeros(n, dtype=np.intp)
        active = np.arange(n)
        for step in range(n_regions):
            region_now = order[active, step]
            limit = log_regions[active, region_now]
            still = best[active, -1] < limit if step else np.ones(len(active), dtype=bool)
            active, region_now = active[still], region_now[still]
            if not len(active):
                break
            visited[active] += 1
            for region in np.unique(region_now):
                rows = active[region_now == region]
                found = self._countries(
                    int(region), log_regions[rows, region][:, None], score(int(region), rows)
                )
                start = self.starts[region]
                there = np.broadcast_to(np.arange(start, start + found.shape[1]), found.shape)
                candidates = np.concatenate([best[rows], found], axis=1)
                keep = np.argsort(-candidates, axis=1, kind="stable")[:, :k]
                best[rows] = np.take_along_axis(candidates, keep, axis=1)
                places[rows] = np.take_along_axis(
                    np.concatenate([places[rows], there], axis=1), keep, axis=1
                )
        return TopK(places, np.exp(best), visited)

    def top_k_of_one(
        self, log_regions: FloatArray, score: SingleCountryScorer, k: int
    ) -> tuple[list[tuple[float, int]], int]:
        """Return what `top_k` returns for one listener, without its overhead for batches.

        Parameters
        ----------
        log_regions
            log P(region), ``(n_regions,)``.
        score
            Called once for each region that is visited.
        k
            How many; all countries if there are fewer.

        Returns
        -------
        list, int
            Pairs of log P(country) and its place in `countries`, best first; and how many regions
            were visited.
        """
        k = min(k, len(self.countries))
        limits: list[float] = log_regions.tolist()
        order = sorted(range(len(limits)), key=limits.__getitem__, reverse=True)
        best: list[tuple[float, int]] = []
        visited = 0
        for region in order:
            limit = limits[region]
            if len(best) == k and best[-1][0] >= limit:
                break
            visited += 1
            start = self.starts[region]
            found = self._countries(region, limit, score(region)).tolist()
            best.extend(zip(found, range(start, start + len(found)), strict=True))
            best.sort(key=_first, reverse=True)
            del best[k:]
        return best, visited


def _first(pair: tuple[float, int]) -> float:
    return pair[0]
