"""A run of snapshots as training and judging read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from features_manifest import read_manifest
from listening.churn.features import FEATURES
from listening.churn.models import Rows, columns, with_devices
from listening.errors import DataError, LayoutError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FORMAT_VERSION = 1
_PLAYS = FEATURES.index("plays_30")

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class FeaturesManifest:
    """What a run of `snapshots` says about itself.

    Parameters
    ----------
    horizons
        Days that a listener may be gone for, rising.
    devices
        Those with a column of their own.
    bots_above
        Plays in 30 days above which a listener is a bot, by date.
    """

    run: str
    synthetic: bool
    horizons: tuple[int, ...]
    devices: tuple[str, ...]
    bots_above: Mapping[int, float]
    document: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> FeaturesManifest:
        """Read the manifest in a channel's folder.

        Raises
        ------
        DataError, LayoutError
            There is none, it is of another format, or of other features.
        """
        return read_manifest(folder, version=FORMAT_VERSION, read=cls._of)

    @classmethod
    def _of(cls, document: Mapping[str, Any], source: str) -> FeaturesManifest:
        if document["features"] != list(FEATURES):
            raise LayoutError(
                f"{source}: other features than this image knows; run the Glue jobs and "
                "training of one version"
            )
        return cls(
            run=str(document["run"]),
            synthetic=bool(document["synthetic"]),
            horizons=tuple(map(int, document["horizons"])),
            devices=tuple(map(str, document["devices"])),
            bots_above={int(date): float(n) for date, n in document["bots_above"].items()},
            document=document,
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what models read."""
        return columns(self.devices)


@dataclass(frozen=True)
class Snapshots:
    """Listeners at dates, in order of listener and date.

    Parameters
    ----------
    user_ids
        Of the listeners, (n_listeners,).
    listener
        Place in them, (n,).
    date
        Days since 1970, (n,).
    rows
        What models read, (n, width).
    gone
        Who was gone, a column a horizon, (n, n_horizons).
    is_bot
        Who had more plays than a date's bound, (n,).
    device
        Names, (n,); empty where unknown.
    """

    user_ids: npt.NDArray[np.str_]
    listener: Integers
    date: Integers
    rows: Rows
    gone: Flags
    is_bot: Flags
    device: npt.NDArray[np.str_]

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.listener)

    def feature(self, name: str) -> Floats:
        """Return a feature of all rows, (n,)."""
        return self.rows[:, FEATURES.index(name)].astype(np.float64)

    def take(self, rows: Flags | Integers) -> Snapshots:
        """Return some of the rows, of the same listeners."""
        return Snapshots(
            user_ids=self.user_ids,
            **{name: getattr(self, name)[rows] for name in _OF_ROWS},
        )


def joined(parts: Sequence[Snapshots]) -> Snapshots:
    """Return the rows of several splits; listeners that are in more than one are the same."""
    names, places = np.unique(np.concatenate([p.user_ids for p in parts]), return_inverse=True)
    bounds = np.cumsum([0, *(len(part.user_ids) for part in parts)])
    listener = [places[start:][part.listener] for part, start in zip(parts, bounds, strict=False)]
    rows = {name: [getattr(part, name) for part in parts] for name in _OF_ROWS}
    rows["listener"] = listener
    return Snapshots(user_ids=names, **{n: np.concatenate(values) for n, values in rows.items()})


_OF_ROWS = ("listener", "date", "rows", "gone", "is_bot", "device")


def read_snapshots(folder: Path, manifest: FeaturesManifest) -> Snapshots:
    """Read the snapshots of a split.

    Raises
    ------
    DataError
        It is not what the job writes.
    """
    try:
        table = ds.dataset(folder, format="parquet").to_table()
        table = table.sort_by([("user_id", "ascending"), ("date", "ascending")]).combine_chunks()
        users = table["user_id"].combine_chunks().dictionary_encode()
        date = table["date"].to_numpy().astype(np.int64)
        features = _matrix(table["features"], len(FEATURES)).astype(np.float32)
        named = pa.array(manifest.devices, pa.string())
        device = pc.fill_null(pc.index_in(table["device"], value_set=named), -1)
        above = np.array([manifest.bots_above[day] for day in np.unique(date).tolist()])
        return Snapshots(
            user_ids=np.array(users.dictionary.to_pylist(), dtype=np.str_),
            listener=users.indices.to_numpy().astype(np.int64),
            date=date,
            rows=with_devices(features, device.to_numpy().astype(np.int64), len(manifest.devices)),
            gone=_matrix(table["gone"], len(manifest.horizons)).astype(bool),
            is_bot=features[:, _PLAYS] > above[np.unique(date, return_inverse=True)[1]],
            device=np.array(pc.fill_null(table["device"], "").to_pylist(), dtype=np.str_),
        )
    except (OSError, KeyError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"{folder}: not snapshots of the job snapshots ({error!r})") from error


def _matrix(lists: pa.ChunkedArray, width: int) -> npt.NDArray[Any]:
    flat = pc.list_flatten(lists).to_numpy()
    if len(flat) != len(lists) * width:
        raise DataError(f"lists of another length than {width}; run jobs and training anew")
    return np.asarray(flat.reshape(len(lists), width))
