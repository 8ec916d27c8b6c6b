"""Reading what the Glue job `features` wrote: its manifest and the listeners' features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features_manifest import read_manifest
from listening.country.layout import FeatureLayout
from listening.country.listeners import ListenerBatch
from listening.errors import DataError, LayoutError
from listening.regions import RegionTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from listening.country.artist_table import ArtistTable

FORMAT_VERSION = 1

OPTIONAL = "log_total_scrobbles"
"""The feature block that is NaN where a listener did not give it."""


@dataclass(frozen=True, kw_only=True)
class FeaturesManifest:
    """What a features run says about itself.

    Parameters
    ----------
    run
        The run's id.
    layout
        The listeners' feature layout.
    regions
        The regions and countries that were kept.
    countries
        Country code to English name.
    train_counts
        Country code to number of training listeners.
    synthetic
        Whether the listeners were generated.
    document
        The whole manifest.
    """

    run: str
    layout: FeatureLayout
    regions: RegionTable
    countries: Mapping[str, str]
    train_counts: Mapping[str, int]
    synthetic: bool
    document: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> FeaturesManifest:
        """Read the manifest in a channel's folder.

        Raises
        ------
        DataError
            There is none, or it is of another format.
        """
        return read_manifest(folder, version=FORMAT_VERSION, read=cls._of)

    @classmethod
    def _of(cls, document: Mapping[str, Any], source: str) -> FeaturesManifest:
        return cls(
            run=str(document["run"]),
            layout=FeatureLayout.from_json(document["layout"]),
            regions=RegionTable.from_json(document, source=source),
            countries={code: c["name"] for code, c in document["countries"].items()},
            train_counts={code: int(c["train"]) for code, c in document["countries"].items()},
            synthetic=bool(document["synthetic"]),
            document=document,
        )


@dataclass(frozen=True)
class Listeners:
    """Listeners of a split, sorted by id, so that nothing depends on how Spark laid out its files.

    Parameters
    ----------
    user_ids
        ``(n_listeners,)``.
    countries
        Country codes, ``(n_listeners,)``.
    features
        float32, ``(n_listeners, layout width)``.
    """

    user_ids: npt.NDArray[np.str_]
    countries: npt.NDArray[np.str_]
    features: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of listeners."""
        return len(self.user_ids)

    def of(self, countries: tuple[str, ...]) -> Listeners:
        """Return the listeners of some countries."""
        rows = np.isin(self.countries, countries)
        if rows.all():
            return self
        return Listeners(self.user_ids[rows], self.countries[rows], self.features[rows])


def read_listeners(folder: Path, layout: FeatureLayout) -> Listeners:
    """Read all parquet files under a folder.

    Parameters
    ----------
    folder
        A split, or one region of it.
    layout
        What the features must be laid out as.

    Raises
    ------
    DataError
        There is no listener, or a column is missing or holds nulls.
    LayoutError
        A listener's features are not as wide as the layout.
    """
    files = sorted(folder.rglob("*.parquet"))
    ids, countries = [], []
    for file in files:
        table = _columns(file, ["user_id", "country"])
        ids.append(table["user_id"].to_numpy().astype(str))
        countries.append(table["country"].to_numpy().astype(str))
    n = sum(map(len, ids))
    if not n:
        raise DataError(f"{folder}: no listener in this split; give the features run more data")
    user_ids = np.concatenate(ids)
    order = np.argsort(user_ids, kind="stable")
    place = np.empty(n, dtype=np.intp)
    place[order] = np.arange(n)
    features = np.empty((n, layout.width), dtype=np.float32)
    start = 0
    for file in files:
        matrix = _matrix(file, layout)
        features[place[start : start + len(matrix)]] = matrix
        start += len(matrix)
    return Listeners(user_ids[order], np.concatenate(countries)[order], features)


def _columns(file: Path, names: list[str], *, optional: Sequence[str] = ()) -> pa.Table:
    """Read columns, of which only the optional ones may hold nulls."""
    try:
        table = pq.ParquetFile(file).read(columns=[*names, *optional])
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file}: not a readable parquet file ({error})") from error
    for name in [*names, *optional]:
        if name not in table.column_names:
            raise DataError(
                f"{file}: no column '{name}'; run the Glue job features of this version"
            )
        if name in names and table[name].null_count:
            raise DataError(f"{file}: column '{name}' holds nulls; run the Glue job features again")
    return table


def _matrix(file: Path, layout: FeatureLayout) -> npt.NDArray[np.float32]:
    column = _columns(file, ["features"])["features"].combine_chunks()
    widths = np.unique(np.diff(column.offsets.to_numpy()))
    if len(widths) and widths.tolist() != [layout.width]:
        raise LayoutError(
            f"{file}: listeners have {', '.join(map(str, widths))} features, the manifest's "
            f"layout has {layout.width}; channels and manifest must be of one features run"
        )
    values = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    matrix: npt.NDArray[np.float32] = values.reshape(-1, layout.width)
    unusable = ~np.isfinite(matrix)
    if layout.has(OPTIONAL):
        unusable[:, layout.slice_of(OPTIONAL)] = False
    if unusable.any():
        name = layout.names[int(np.flatnonzero(unusable.any(axis=0))[0])]
        raise DataError(
            f"{file}: feature '{name}' holds NaN or infinity; run the Glue job features again"
        )
    return matrix


@dataclass(frozen=True)
class Plays:
    """Listeners' cleaned plays, sorted by listener id as `Listeners` are.

    Parameters
    ----------
    user_ids, countries
        ``(n_listeners,)``.
    indptr
        Bounds of each listener's plays, ``(n_listeners + 1,)``.
    artist_keys
        ``(n_plays,)``, in rank order.
    playcounts
        ``(n_plays,)``, NaN for a listener without play counts.
    total_scrobbles
        ``(n_listeners,)``, NaN where not given.
    """

    user_ids: npt.NDArray[np.str_]
    countries: npt.NDArray[np.str_]
    indptr: npt.NDArray[np.int64]
    artist_keys: list[str]
    playcounts: npt.NDArray[np.float32]
    total_scrobbles: npt.NDArray[np.float32]

    def batch(self, artists: ArtistTable) -> ListenerBatch:
        """Return the listeners in terms of an artist table."""
        return ListenerBatch(
            self.indptr,
            artists.lookup_keys(self.artist_keys),
            self.playcounts,
            self.total_scrobbles,
        )


def read_plays(folder: Path) -> Plays:
    """Read cleaned plays; errors as for `read_listeners`."""
    files = sorted(folder.rglob("*.parquet"))
    needed = ["user_id", "country", "artist_keys"]
    tables = [_columns(file, needed, optional=["playcounts", "total_scrobbles"]) for file in files]
    if not sum(table.num_rows for table in tables):
        raise DataError(f"{folder}: no plays; run the Glue job features again")
    table = pa.concat_tables(tables, promote_options="permissive").sort_by("user_id")
    keys = table["artist_keys"].combine_chunks()
    lengths = pc.list_value_length(keys).to_numpy()
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    counts = np.full(indptr[-1], np.nan, dtype=np.float32)
    given = table["playcounts"].combine_chunks()
    rows = given.is_valid().to_numpy(zero_copy_only=False)
    counts[np.repeat(rows, lengths)] = given.flatten().to_numpy(zero_copy_only=False)
    return Plays(
        table["user_id"].to_numpy().astype(str),
        table["country"].to_numpy().astype(str),
        indptr,
        keys.flatten().to_pylist(),
        counts,
        table["total_scrobbles"].to_numpy().astype(np.float32),
    )
