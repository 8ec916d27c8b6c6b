"""Activity to snapshots: what was known of listeners at a date, and whether they were gone then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from glue_jobs.arrow import column, floats, group_bounds, lists, matrix_rows
from listening.churn.days import COUNTS, Activity
from listening.churn.features import Snapshots
from listening.splits import bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt
    from pyspark.sql import DataFrame

    from glue_jobs.churn.dates import Dates

SALT = "listening-churn"
"""Decides which listeners are trained, validated and tested on; never tuned on."""
BUCKETS = 1000
PARTS = ("train", "validation", "test")
SHARES = (0.6, 0.8)
"""Of the listeners: where validation begins, and test."""
REST = "rest"
SPLITS = (*PARTS, REST)
"""Of rows: `REST` are those of the first two parts' listeners at other dates before the test."""

SNAPSHOTS = (
    "user_id string, date int, device string, gone array<boolean>, features array<float>, "
    "split string"
)
"""Schema of snapshots: ``date`` in days since 1970, ``gone`` an entry a horizon."""

TOGETHER, EACH = LOG_ENDS = ("together", "each")
"""Whether the log ends at one day for all, or for each listener with their last day, as exports
do: the days after a date must then be inside the listener's own log."""


@dataclass(frozen=True)
class Plan:
    """What snapshots are made.

    Parameters
    ----------
    dates
        At which dates.
    horizons
        Days that a listener may be gone for, rising.
    log_ends
        Of `LOG_ENDS`.
    """

    dates: Dates
    horizons: tuple[int, ...]
    log_ends: str


@dataclass(frozen=True)
class Listeners:
    """Whole listeners as the job holds them: their days, their names and those of their devices."""

    activity: Activity
    user_ids: pa.Array
    devices: list[str]

    @classmethod
    def of(cls, table: pa.Table) -> Listeners:
        """Read rows of `counting.ACTIVITY` with ``came``, in order of listener and day."""
        users, devices = column(table, "user_id"), column(table, "device").dictionary_encode()
        first = group_bounds(users)
        return cls(
            activity=Activity(
                first=first,
                day=column(table, "day").to_numpy().astype(np.int64),
                counts=np.column_stack([floats(column(table, name)) for name in COUNTS]),
                device=devices.indices.fill_null(-1).to_numpy().astype(np.int64),
                came=floats(column(table, "came"))[first[:-1]],
            ),
            user_ids=users.take(pa.array(first[:-1])),
            devices=devices.dictionary.to_pylist(),
        )


def whole_partition(batches: Iterable[pa.RecordBatch]) -> pa.Table | None:
    """Return a partition as one table, in order of listener and day; None if nothing is in it."""
    parts = [batch for batch in batches if batch.num_rows]
    if not parts:
        return None
    return pa.Table.from_batches(parts).sort_by([("user_id", "ascending"), ("day", "ascending")])


def make_snapshots(days: DataFrame, plan: Plan) -> DataFrame:
    """Return snapshots of the schema `SNAPSHOTS`.

    Parameters
    ----------
    days
        Rows of `counting.ACTIVITY` with ``came``, each listener's within one partition.
    plan
        Which.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = whole_partition(batches)
        if table is not None:
            for found in snapshots_of(Listeners.of(table), plan):
                yield from found.to_batches(max_chunksize=100_000)

    return days.mapInArrow(run, SNAPSHOTS)


def snapshots_of(listeners: Listeners, plan: Plan) -> Iterator[pa.Table]:
    """Yield the snapshots of whole listeners, a table a date and split."""
    known = Snapshots(listeners.activity)
    names = listeners.user_ids.to_pylist()
    places = np.array([bucket(name, salt=SALT, buckets=BUCKETS) / BUCKETS for name in names])
    part_of = np.searchsorted(SHARES, places, side="right")
    names_of_devices = pa.array(listeners.devices, pa.string())
    for date in plan.dates.all:
        there = known.population(date)
        if plan.log_ends == EACH:
            there = there[known.last_day(there) >= date + max(plan.horizons)]
        for split, owner in _divided(plan.dates, date, there, part_of[there]).items():
            device = known.device(owner, date)
            gone = np.column_stack([known.gone(owner, date, h) for h in plan.horizons])
            bounds = np.arange(len(owner) + 1, dtype=np.int64) * len(plan.horizons)
            yield pa.table(
                {
                    "user_id": listeners.user_ids.take(pa.array(owner)),
                    "date": pa.array(np.full(len(owner), date), pa.int32()),
                    "device": names_of_devices.take(pa.array(device, mask=device < 0)),
                    "gone": lists(pa.array(gone.ravel()), bounds),
                    "features": matrix_rows(known.features(owner, date)),
                    "split": pa.array([split] * len(owner), pa.string()),
                }
            )


def _divided(
    dates: Dates, date: int, owner: npt.NDArray[np.int64], part: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[np.int64]]:
    """Return listeners at a date by split; those that are not looked at then are left out."""
    found: dict[str, list[npt.NDArray[np.int64]]] = {}
    for place, name in enumerate(PARTS):
        own = owner[part == place]
        if date in getattr(dates, name):
            found.setdefault(name, []).append(own)
        elif date in dates.rest and name != "test":
            found.setdefault(REST, []).append(own)
    joined = {split: np.concatenate(owners) for split, owners in found.items()}
    return {split: owners for split, owners in joined.items() if len(owners)}
