"""A run of the charts job as judging reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from features_manifest import read_manifest
from listening.charts.bundle import Lists, Track
from listening.charts.judging import MEASURES
from listening.charts.parts import PARTS
from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT_VERSION = 1
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ChartsManifest:
    """What a run of `charts` says about itself."""

    run: str
    synthetic: bool
    method: str
    half_lives: Mapping[str, float]
    document: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> ChartsManifest:
        """Read the manifest in a channel's folder.

        Raises
        ------
        DataError
            There is none, or it is of another format.
        """
        return read_manifest(folder, version=FORMAT_VERSION, read=cls._of)

    @classmethod
    def _of(cls, document: Mapping[str, Any], source: str) -> ChartsManifest:
        del source
        parameters = document["parameters"]
        return cls(
            run=str(document["run"]),
            synthetic=bool(document["synthetic"]),
            method=str(parameters["method"]),
            half_lives={w: float(days) for w, days in parameters["half_lives"].items()},
            document=document,
        )


def read_lists(folder: Path, manifest: ChartsManifest) -> Lists:
    """Read the lists.

    Raises
    ------
    DataError
        They are not what the job writes.
    """
    found: dict[str, dict[str, list[Track]]] = {}
    try:
        table = ds.dataset(folder, format="parquet").to_table()
        order = [("window", "ascending"), ("place", "ascending"), ("rank", "ascending")]
        for row in table.sort_by(order).to_pylist():
            track = Track(
                track_id=row["track_id"],
                artist_name=row["artist_name"],
                track_name=row["track_name"],
                score=round(row["score"], 4),
                parts={name: round(row[name], 3) for name in PARTS},
                previous_rank=None if row["previous_rank"] is None else int(row["previous_rank"]),
                is_new=row["is_new"],
                is_rising=row["is_rising"],
            )
            found.setdefault(row["window"], {}).setdefault(row["place"], []).append(track)
        return Lists(
            tracks={w: {p: tuple(ts) for p, ts in by.items()} for w, by in found.items()},
            method=manifest.method,
            half_lives=manifest.half_lives,
            end=int(manifest.document["end"]),
            windows=dict(manifest.document["parameters"]["windows"]),
        )
    except (OSError, KeyError, pa.ArrowInvalid, TypeError) as error:
        raise DataError(f"{folder}: not lists of the job charts ({error!r})") from error


@dataclass(frozen=True)
class Judged:
    """How a method's lists did for each listener.

    Parameters
    ----------
    sums, counts
        Of `MEASURES` over weeks and windows, and of how many, (n_listeners, 8).
    """

    sums: Floats
    counts: Floats

    def __len__(self) -> int:
        """Return how many listeners there are."""
        return len(self.sums)


def summary(judged: Judged, weights: Floats | None) -> dict[str, float]:
    """Return the means of `MEASURES`, and the share of listeners that a list of 50 ever reached."""
    each = np.ones(len(judged)) if weights is None else weights
    total = each @ judged.counts
    means = np.divide(each @ judged.sums, total, out=np.zeros(len(total)), where=total > 0)
    found = dict(zip(MEASURES, means.tolist(), strict=True))
    reached = judged.sums[:, MEASURES.index("hit50")] > 0
    return found | {"reached": float(each @ reached / each.sum())}


def read_judged(folder: Path) -> dict[str, Judged]:
    """Read how lists did, by method; the listeners are the same for all.

    Raises
    ------
    DataError
        It is not what the job writes, or nobody was there to judge by.
    """
    try:
        table = ds.dataset(folder, format="parquet").to_table()
        listeners, place = np.unique(table["listener"].to_numpy(), return_inverse=True)
        methods = np.array(table["method"].to_pylist(), dtype=np.str_)
        n, found = len(listeners), {}
        for method in np.unique(methods).tolist():
            rows = methods == method
            sums, counts = (
                np.column_stack(
                    [
                        np.bincount(place[rows], pc.fill_null(table[name], 0.0).to_numpy()[rows], n)
                        for name in names
                    ]
                )
                for names in (MEASURES, [f"n_{name}" for name in MEASURES])
            )
            found[str(method)] = Judged(sums.astype(np.float64), counts.astype(np.float64))
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise DataError(f"{folder}: not judged lists of the job charts ({error!r})") from error
    if not n:
        raise DataError(f"{folder}: nobody played anything in the judged weeks; give a longer log")
    return found


def read_weeks(folder: Path) -> list[dict[str, Any]]:
    """Read how lists did by week: hits among the first ten, by method and window.

    Raises
    ------
    DataError
        It is not what the job writes.
    """
    try:
        table = ds.dataset(folder, format="parquet").to_table()
        return [
            {
                "date": str(np.datetime64(row["date"], "D")),
                "window": row["window"],
                "method": row["method"],
                "hit10": (row["hit10"] or 0.0) / max(row["n_hit10"], 1.0),
                "listeners": int(row["n_hit10"]),
            }
            for row in table.sort_by("date").to_pylist()
        ]
    except (OSError, KeyError, pa.ArrowInvalid, TypeError) as error:
        raise DataError(f"{folder}: not judged weeks of the job charts ({error!r})") from error
