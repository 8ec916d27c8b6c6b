"""Cleaned listeners to feature vectors, each by the fit that never saw its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from glue_jobs.arrow import column, matrix_rows
from glue_jobs.country.packing import to_batch
from listening.country.artist_table import ArtistFeatures
from listening.country.layout import Block, FeatureLayout
from listening.country.listeners import listener_features

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame

    from glue_jobs.country.affinity import Affinities
    from listening.regions import RegionTable

Floats = npt.NDArray[np.float32]

FEATURES = (
    "user_id string, country string, features array<float>, known int, in_range boolean, "
    "split string, region string"
)
RANGES = {
    "affinity": (-np.inf, 0.0),
    "region_affinity": (-np.inf, 0.0),
    "evidence": (0.0, np.inf),
    "log_list_length": (0.0, np.inf),
    "log_total_scrobbles": (0.0, np.inf),
}
"""The least and largest value of the blocks that have such."""
ROUNDING = 1e-4  # of a logarithm whose probability is 1


def feature_layout(
    regions: RegionTable, *, dimensions: int, total_scrobbles: bool
) -> FeatureLayout:
    """Return the layout of the features of listeners.

    Parameters
    ----------
    regions
        The kept regions and countries.
    dimensions
        Numbers in an artist's vector.
    total_scrobbles
        Whether the raw data knows them; a feature that it does not know is left out, not faked.
    """
    countries = tuple(country for region in regions.regions for country in region.countries)
    slugs = tuple(region.slug for region in regions.regions)
    return FeatureLayout(
        (
            Block("vector", dimensions),
            Block("affinity", len(countries), countries),
            Block("region_affinity", len(slugs), slugs),
            Block("evidence", 1),
            Block("log_list_length", 1),
            *((Block("log_total_scrobbles", 1),) if total_scrobbles else ()),
        )
    )


def artist_features(
    vectors: Floats, affinities: Affinities, regions: RegionTable
) -> list[ArtistFeatures]:
    """Return what features are computed from, for each fit; the last left no fold out."""
    sizes = [len(region.countries) for region in regions.regions]
    starts = np.cumsum([0, *sizes[:-1]]).astype(np.int32)
    return [
        ArtistFeatures(
            salience=salience,
            matrix=np.concatenate([vectors, weights], axis=1) * salience[:, None],
            affinity_bias=bias,
            region_starts=starts,
        )
        for salience, weights, bias in zip(
            affinities.salience, affinities.weights, affinities.bias, strict=True
        )
    ]


@dataclass(frozen=True)
class Featuriser:
    """From rows of kept listeners to rows of features; runs on the executors.

    Parameters
    ----------
    vocabulary
        Artist keys.
    fits
        What `artist_features` returned.
    layout
        The features' layout.
    """

    vocabulary: pa.Array
    fits: list[ArtistFeatures]
    layout: FeatureLayout

    def __call__(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return user, country, features, split and region of each listener."""
        batch = to_batch(rows, self.vocabulary)
        was_seen = np.array(column(rows, "split").to_pylist()) != "test"
        folds = column(rows, "fold").to_numpy(zero_copy_only=False)
        fit_of = np.where(was_seen, folds, len(self.fits) - 1)
        features = np.empty((len(batch), self.layout.width), dtype=np.float32)
        for fit in np.unique(fit_of):
            mine = np.flatnonzero(fit_of == fit)
            features[mine] = listener_features(batch.take(mine), self.fits[fit], self.layout)
        return pa.RecordBatch.from_arrays(
            [
                column(rows, "user_id"),
                column(rows, "country"),
                matrix_rows(features),
                pa.array(batch.known.astype(np.int32)),
                pa.array(in_range(features, self.layout)),
                column(rows, "split"),
                column(rows, "region"),
            ],
            names=["user_id", "country", "features", "known", "in_range", "split", "region"],
        )


def in_range(features: Floats, layout: FeatureLayout) -> npt.NDArray[np.bool_]:
    """Tell of each listener whether all features are numbers that their block can have, (n,)."""
    good = np.ones(len(features), dtype=bool)
    for block in layout.blocks:
        values = features[:, layout.slice_of(block.name)]
        low, high = RANGES.get(block.name, (-np.inf, np.inf))
        fits = np.isfinite(values) & (values >= low - ROUNDING) & (values <= high + ROUNDING)
        if block.name == "log_total_scrobbles":
            fits |= np.isnan(values)  # not given
        good &= fits.all(axis=1)
    return good


def listener_frame(kept: DataFrame, featuriser: Featuriser) -> DataFrame:
    """Return the features of kept listeners, a frame of `FEATURES`."""
    shared = kept.sparkSession.sparkContext.broadcast(featuriser)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in batches:
            if rows.num_rows:
                yield shared.value(rows)

    return kept.mapInArrow(run, FEATURES)
