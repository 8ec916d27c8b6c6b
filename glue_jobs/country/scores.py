"""Cleaned listeners to countries, by a bundle that each executor loads once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from glue_jobs.arrow import column, list_bounds, lists
from glue_jobs.champion import fetched
from glue_jobs.country.packing import to_batch
from listening.country.bundle import Bundle, Prior, read
from listening.country.listeners import listener_features
from listening.country.predictor import ChainPredictor
from listening.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame

    from listening.country.bundle import CountryArchive


@dataclass(frozen=True)
class Scorer:
    """From rows of cleaned listeners to rows of scores, as the endpoint answers them.

    Parameters
    ----------
    archive
        The bundle's archive among Spark's files.
    k
        How many countries of each listener.
    every
        Whether to add the probability of every country.
    """

    archive: str
    k: int
    every: bool

    @property
    def schema(self) -> str:
        """The schema of the scores."""
        countries = _bundle(self.archive).regions.region_of if self.every else ()
        return ", ".join(
            (
                "user_id string, countries array<string>, probabilities array<double>",
                "known_artists int, unknown_artists int, is_prior boolean, bundle_version string",
                *(f"probability_{country} double" for country in countries),
            )
        )

    def __call__(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the scores of listeners; who has no known artist gets the prior."""
        bundle = _bundle(self.archive)
        prior = bundle.prior if isinstance(bundle, Prior | Bundle) else {}
        countries = list(bundle.regions.region_of)
        shares = np.array([prior[country] for country in countries])
        n = rows.num_rows
        joint = np.tile(shares, (n, 1))
        known = np.zeros(n, dtype=np.int64)
        lengths = list_bounds(column(rows, "artist_keys"))[0]
        if isinstance(bundle, Bundle):
            batch = to_batch(rows, _vocabulary(self.archive))
            known = batch.known
            asked = np.flatnonzero(known)
            if len(asked):
                features = listener_features(batch.take(asked), bundle.artists, bundle.layout)
                predictor = _predictor(self.archive)
                place = [predictor.chain.countries.index(country) for country in countries]
                joint[asked] = np.exp(predictor.log_joint(features))[:, place]
        best = np.argsort(-joint, axis=1, kind="stable")[:, : self.k]
        bounds = np.arange(n + 1, dtype=np.int64) * best.shape[1]
        names = pa.array(countries).take(pa.array(best.ravel()))
        columns = {
            "user_id": column(rows, "user_id"),
            "countries": lists(names, bounds),
            "probabilities": lists(pa.array(np.take_along_axis(joint, best, 1).ravel()), bounds),
            "known_artists": pa.array(known.astype(np.int32)),
            "unknown_artists": pa.array((np.diff(lengths) - known).astype(np.int32)),
            "is_prior": pa.array(known == 0),
            "bundle_version": pa.array([bundle.version] * n),
        }
        if self.every:
            columns |= {
                f"probability_{country}": pa.array(joint[:, i])
                for i, country in enumerate(countries)
            }
        return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def owners(spelt: DataFrame, archive: str) -> DataFrame:
    """Return spellings that the bundle knows by MBID alone: ``artist_name, mbid, owner``.

    Parameters
    ----------
    spelt
        Schema `glue_jobs.country.identity.SPELLINGS`.
    archive
        The bundle's archive among Spark's files.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        bundle = _bundle(archive)
        if not isinstance(bundle, Bundle):
            return
        for batch in batches:
            unknown = bundle.artists.lookup_keys(batch.column("artist_key").to_pylist()) < 0
            left = batch.filter(pa.array(unknown))
            ids = bundle.artists.lookup_mbids(left.column("mbid").to_pylist())
            found = left.filter(pa.array(ids >= 0))
            yield pa.RecordBatch.from_arrays(
                [
                    found.column("spelling"),
                    found.column("mbid"),
                    _vocabulary(archive).take(pa.array(ids[ids >= 0])),
                ],
                names=["artist_name", "mbid", "owner"],
            )

    return spelt.mapInArrow(run, "artist_name string, mbid string, owner string")


def score(listeners: DataFrame, scorer: Scorer) -> DataFrame:
    """Return the scores of cleaned listeners."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in batches:
            if rows.num_rows:
                yield scorer(rows)

    return listeners.mapInArrow(run, scorer.schema)


@cache
def _bundle(archive: str) -> CountryArchive:
    bundle = read(fetched(archive))
    if not isinstance(bundle, Prior | Bundle):
        raise ArchiveError(f"bundle {bundle.version} is a single model; score with a bundle")
    return bundle


@cache
def _predictor(archive: str) -> ChainPredictor:
    bundle = _bundle(archive)
    assert isinstance(bundle, Bundle)
    return ChainPredictor(bundle)


@cache
def _vocabulary(archive: str) -> pa.Array:
    """Return the keys of the bundle's artists; the place is the artist's id."""
    bundle = _bundle(archive)
    assert isinstance(bundle, Bundle)
    table = bundle.artists
    buffers = (None, pa.py_buffer(table.key_bounds), pa.py_buffer(table.key_text))
    return pa.Array.from_buffers(pa.large_string(), table.size, buffers).cast(pa.string())
