"""Listeners as arrays: cleaning their plays, weighing them, and turning them into features.

Everything here works on many listeners at once in CSR form (listener ``i`` owns the places
``indptr[i]`` to ``indptr[i + 1]`` of the flat arrays, in rank order) and answers each as it would
alone, bit for bit. The Glue jobs call it on batches of Arrow rows, the endpoint on one request.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from listening.country.chain import log_softmax
from listening.errors import LayoutError
from listening.names import artist_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listening.country.artist_table import ArtistFeatures, ArtistTable
    from listening.country.layout import FeatureLayout

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

RANK_WEIGHT: Final = (3.44, 0.63, 0.3)
"""The weight that stands in at rank r without play counts: max(c, a - b · log10(r)) of these.

a and b are the least-squares fit of log10(1 + plays) to the rank in 399 listeners' top 50s.
"""

NORM_POWER: Final = 0.3
"""How far the length of a TF-IDF row is taken out of it: 0 not at all, 0.5 wholly (L2 norm 1)."""


@dataclass(frozen=True)
class CleanPlays:
    """What `clean_plays` keeps of raw plays, and how much it dropped and why.

    Parameters
    ----------
    indptr
        (n_listeners + 1,) in the kept plays.
    kept
        (n_kept,) places of the raw arrays that remain, in order.
    playcounts
        (n_kept,) filled and merged play counts; NaN for a listener without any.
    negative, unnamed, merged
        (n_listeners,) plays dropped: negative play count, no artist, same artist as an earlier one.
    filled
        (n_listeners,) play counts taken from neighbours.
    """

    indptr: Ints
    kept: Ints
    playcounts: npt.NDArray[np.float64]
    negative: Ints
    unnamed: Ints
    merged: Ints
    filled: Ints


def clean_plays(
    indptr: npt.ArrayLike, artists: npt.ArrayLike, playcounts: npt.ArrayLike
) -> CleanPlays:
    """Drop unusable plays, fill missing play counts and merge a listener's repeated artists.

    Parameters
    ----------
    indptr
        (n_listeners + 1,) bounds of each listener's plays, which are in rank order.
    artists
        (n_plays,) integers that are equal where the artist is the same; negative for no artist.
    playcounts
        (n_plays,) plays; not finite where there is no number.

    Notes
    -----
    A count that is not a number becomes the mean of the nearest numbers before and after it, else
    the one there is. A negative count makes the play unusable. Merged artists add their counts
    and keep the better rank.
    """
    bounds = np.asarray(indptr, dtype=np.int64)
    codes = np.asarray(artists, dtype=np.int64)
    counts = np.asarray(playcounts, dtype=np.float64)
    n = len(bounds) - 1
    owner = np.repeat(np.arange(n), bounds[1:] - bounds[:-1])

    def per_listener(mask: npt.NDArray[np.bool_], owners: Ints) -> Ints:
        return np.bincount(owners[mask], minlength=n)

    unnamed = codes < 0
    negative = ~unnamed & (counts < 0)
    dropped = per_listener(negative, owner), per_listener(unnamed, owner)
    kept = np.flatnonzero(~(unnamed | negative))
    owner, codes, counts = owner[kept], codes[kept], counts[kept]
    counts, was_filled = _fill(owner, counts)
    filled = per_listener(was_filled, owner)

    order = np.lexsort((codes, owner))  # stable: the better rank comes first within a group
    artist, listener = codes[order], owner[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (artist[1:] != artist[:-1]) | (listener[1:] != listener[:-1])
    merged = per_listener(~first, listener)
    if not first.all():
        sums = np.add.reduceat(counts[order], np.flatnonzero(first))
        survivors = order[first]
        by_rank = np.argsort(survivors)
        kept, owner, counts = kept[survivors[by_rank]], owner[survivors[by_rank]], sums[by_rank]
    ends = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner, minlength=n), out=ends[1:])
    return CleanPlays(ends, kept, counts, *dropped, merged, filled)


def _fill(
    owner: Ints, counts: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Fill counts that are not finite from the nearest finite ones of the same listener."""
    missing = ~np.isfinite(counts)
    if not missing.any():
        return counts, missing
    counts = np.where(missing, np.nan, counts)
    places = np.arange(len(counts))
    before = np.maximum.accumulate(np.where(missing, -1, places))
    after = np.minimum.accumulate(np.where(missing, len(counts), places)[::-1])[::-1]
    sides = np.full((2, len(counts)), np.nan)
    for side, nearest in zip(sides, (before, after), strict=True):
        inside = (nearest >= 0) & (nearest < len(counts))
        inside[inside] = owner[nearest[inside]] == owner[inside]
        side[inside] = counts[nearest[inside]]
    low, high = sides
    mean = np.where(np.isnan(low), high, np.where(np.isnan(high), low, (low + high) / 2))
    return np.where(missing, mean, counts), missing & ~np.isnan(mean)


@dataclass(frozen=True)
class ListenerBatch:
    """Cleaned listeners in terms of an artist table.

    Parameters
    ----------
    indptr
        (n + 1,) bounds of each listener's artists, which are in rank order.
    artist_ids
        (n_plays,) rows of the artist table; -1 for an artist it does not know.
    playcounts
        (n_plays,) NaN where the listener has no play counts.
    total_scrobbles
        (n,) NaN where not given.
    """

    indptr: Ints
    artist_ids: npt.NDArray[np.int32]
    playcounts: Floats
    total_scrobbles: Floats

    def __len__(self) -> int:
        """Return the number of listeners."""
        return len(self.indptr) - 1

    @cached_property
    def lengths(self) -> Ints:
        """(n,) artists of each listener."""
        return self.indptr[1:] - self.indptr[:-1]

    @cached_property
    def owner(self) -> Ints:
        """(n_plays,) the listener of each play."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @cached_property
    def known(self) -> Ints:
        """(n,) artists of each listener that the table knows."""
        return self.lengths - self.unknown

    @cached_property
    def unknown(self) -> Ints:
        """(n,) artists of each listener that the table does not know."""
        return np.bincount(self.owner[self.artist_ids < 0], minlength=len(self))

    @cached_property
    def weights(self) -> Floats:
        """(n_plays,) how much each play counts, with mean 1 over a listener's list.

        log10(1 + plays); where a listener has no play counts, or only zeros, the rank stands in by
        `RANK_WEIGHT`. Artists that the table does not know take part in the mean.
        """
        raw = np.log10(1 + self.playcounts.astype(np.float64))
        totals = self.sums(raw)
        standing_in = ~(totals > 0)[self.owner]
        if standing_in.any():
            ranks = np.arange(1, len(raw) + 1) - self.indptr[self.owner]
            top, slope, least = RANK_WEIGHT
            raw = np.where(standing_in, np.maximum(least, top - slope * np.log10(ranks)), raw)
            totals = self.sums(raw)
        return (raw * (self.lengths / np.maximum(totals, 1e-9))[self.owner]).astype(np.float32)

    def sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sum over each listener's plays, (n,)."""
        totals = np.bincount(self.owner, weights=values, minlength=len(self))
        return totals.astype(np.float64, copy=False)  # of nobody they would be integers

    def take(self, rows: npt.NDArray[np.intp]) -> ListenerBatch:
        """Return the batch of these listeners, in this order."""
        indptr = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(self.lengths[rows], out=indptr[1:])
        places = np.arange(indptr[-1]) + np.repeat(self.indptr[rows] - indptr[:-1], np.diff(indptr))
        return ListenerBatch(
            indptr, self.artist_ids[places], self.playcounts[places], self.total_scrobbles[rows]
        )

    @classmethod
    def from_raw(cls, listeners: Sequence[RawListener], table: ArtistTable) -> ListenerBatch:
        """Clean raw listeners as the `embeddings` job does, and look their artists up.

        An artist is looked up by name, and by MusicBrainz id where the name is not known.
        """
        indptr = np.zeros(len(listeners) + 1, dtype=np.int64)
        np.cumsum([len(listener.names) for listener in listeners], out=indptr[1:])
        keys = [artist_key(name) if name else "" for raw in listeners for name in raw.names]
        ids = table.lookup_keys(keys)
        codes = ids.astype(np.int64)
        unknown = np.flatnonzero(ids < 0)
        if len(unknown):
            mbids = [mbid for raw in listeners for mbid in raw.mbids or [None] * len(raw.names)]
            ids[unknown] = table.lookup_mbids([mbids[place] for place in unknown])
            strangers: dict[str, int] = {"": -1}
            for place in unknown:
                name = keys[place] or mbids[place] or ""
                stranger = strangers.setdefault(name, table.size + len(strangers))
                codes[place] = stranger if ids[place] < 0 else ids[place]
        counts = [c for raw in listeners for c in raw.playcounts or [None] * len(raw.names)]
        clean = clean_plays(indptr, codes, np.array(counts, dtype=np.float64))
        return cls(
            clean.indptr,
            ids[clean.kept],
            clean.playcounts.astype(np.float32),
            np.array([raw.total_scrobbles for raw in listeners], dtype=np.float32),
        )


@dataclass(frozen=True)
class RawListener:
    """A listener as a caller gives them, before cleaning.

    Parameters
    ----------
    names
        Artist names in rank order; None or blank where only an MBID is given.
    playcounts
        One per name, None where not known; None for a listener without play counts.
    mbids
        One MusicBrainz id per name, None where not known; None for none at all.
    total_scrobbles
        All plays of the listener, those of further artists included; None where not known.
    """

    names: Sequence[str | None]
    playcounts: Sequence[float | None] | None = None
    mbids: Sequence[str | None] | None = None
    total_scrobbles: float | None = None


def listener_features(batch: ListenerBatch, table: ArtistFeatures, layout: FeatureLayout) -> Floats:
    """Return the features of listeners, (n, layout.width).

    A listener's row is x = w·s over the artists that the table knows, w being `weights` and s the
    artists' salience. The blocks that a layout can name:

    vector
        x·V / |x|, V being the artists' vectors.
    affinity
        log P(country) of the logistic regression of the `features` job: the log-softmax of
        x·A / |x|^(2·`NORM_POWER`) + bias.
    region_affinity
        log P(region): the sum of these probabilities over a region's countries.
    evidence
        log(1 + |x|²): how much there is to judge by.
    log_list_length
        log(1 + artists), unknown ones included.
    log_total_scrobbles
        log(1 + total scrobbles); NaN where not given.

    A listener without a known artist has zeros and the affinities of the bias: callers answer the
    prior instead.

    Raises
    ------
    LayoutError
        The layout names a block that is not known, or does not fit the table.
    """
    sums, columns = _artist_sums(batch, table), table.columns(layout)
    known = batch.artist_ids >= 0
    row = np.where(known, batch.weights * table.salience[batch.artist_ids], 0).astype(np.float64)
    energy = batch.sums(np.square(row))[:, None]
    length = np.where(energy > 0, energy, 1)
    features = np.empty((len(batch), layout.width), dtype=np.float32)
    affinity: npt.NDArray[np.float64] | None = None
    if "affinity" in columns:
        logits = sums[:, columns["affinity"]] / length**NORM_POWER
        affinity = log_softmax(logits + table.affinity_bias)
    for block in layout.blocks:
        place = layout.slice_of(block.name)
        if block.name == "vector":
            features[:, place] = sums[:, columns["vector"]] / np.sqrt(length)
        elif block.name == "affinity":
            features[:, place] = affinity
        elif block.name == "region_affinity" and affinity is not None:
            regions = np.add.reduceat(np.exp(affinity), table.region_starts, axis=1)
            features[:, place] = np.log(np.maximum(regions, np.finfo(np.float32).tiny))
        elif block.name == "evidence":
            features[:, place] = np.log1p(energy)
        elif block.name == "log_list_length":
            features[:, place] = np.log1p(batch.lengths)[:, None]
        elif block.name == "log_total_scrobbles":
            features[:, place] = np.log1p(batch.total_scrobbles)[:, None]
        else:
            raise LayoutError(f"feature block '{block.name}' is not one that listeners have")
    return features


def _artist_sums(batch: ListenerBatch, table: ArtistFeatures) -> Floats:
    """Return Σ w·matrix[a] over the known artists of each listener, (n, matrix width).

    Both ways add up a listener's artists one after the other, so that a batch gives the very bits
    that its listeners give alone.
    """
    known = batch.artist_ids >= 0
    ids, weights = batch.artist_ids[known], batch.weights[known]
    if len(batch) == 1:
        sums: Floats = (table.matrix[ids] * weights[:, None]).sum(axis=0)[None]
        return sums
    from scipy import sparse  # noqa: PLC0415 - one listener, the endpoint's usual case, needs none

    indptr = np.zeros(len(batch) + 1, dtype=np.int64)
    np.cumsum(batch.known, out=indptr[1:])
    product: Floats = sparse.csr_matrix((weights, ids, indptr), (len(batch), table.size)) @ (
        table.matrix
    )
    return product
