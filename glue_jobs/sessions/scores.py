"""Sessions to forecasts at a moment, by a bundle that each executor loads once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa

from glue_jobs.arrow import column, group_bounds, whole_groups
from glue_jobs.champion import fetched
from listening.sessions.forecast import LEVELS
from listening.sessions.forecaster import Forecaster, Moment
from listening.sessions.state import Profile, Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pyspark.sql import DataFrame

SCHEMA = ", ".join(
    (
        "user_id string, going_on boolean, sessions_used int, cluster int, based_on string",
        *(f"length_{level:.0%} double".replace("%", "") for level in LEVELS),
        *(f"remaining_{level:.0%} double".replace("%", "") for level in LEVELS),
        "longer double, bundle_version string",
    )
)
"""Schema of forecasts: quantiles in seconds by their percent; those of what remains are null where
no session goes on."""


@dataclass(frozen=True)
class Scorer:
    """From the sessions of whole listeners to rows of forecasts.

    Parameters
    ----------
    archive
        The bundle's archive among Spark's files.
    at
        The moment, in seconds since 1970, UTC.
    limit
        Seconds: the probability that a session is longer.
    """

    archive: str
    at: float
    limit: float

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return forecasts of the listeners, of `SCHEMA`."""
        forecaster = _forecaster(self.archive)
        bounds = group_bounds(column(table, "user_id")).tolist()
        rows = zip(*(column(table, name).to_pylist() for name in Session._fields), strict=True)
        sessions = [Session(*row) for row in rows]
        accounts = {name: column(table, name) for name in ("gender", "age", "registered")}
        moments = []
        for start, stop in pairwise(bounds):
            profile = Profile(**{name: values[start].as_py() for name, values in accounts.items()})
            moments.append(self._moment(sessions[start:stop], profile, forecaster.gap_s))
        columns: dict[str, list[object]] = {field.split()[0]: [] for field in SCHEMA.split(", ")}
        forecasts = forecaster.forecast(moments)
        for start, moment, forecast in zip(bounds, moments, forecasts, strict=False):
            left: Sequence[float | None] = forecast.remaining or [None] * len(LEVELS)
            row = (
                column(table, "user_id")[start].as_py(),
                moment.going_on is not None,
                forecast.sessions_used,
                forecast.cluster,
                forecast.based_on,
                *forecast.length,
                *left,
                forecast.longer_than(self.limit),
                forecaster.archive.version,
            )
            for values, value in zip(columns.values(), row, strict=True):
                values.append(value)
        types = {"string": pa.string(), "boolean": pa.bool_(), "int": pa.int32()}
        kinds = [types.get(field.split()[1], pa.float64()) for field in SCHEMA.split(", ")]
        arrays = [pa.array(v, kind) for v, kind in zip(columns.values(), kinds, strict=True)]
        return pa.table(arrays, names=list(columns))

    def _moment(self, sessions: Sequence[Session], profile: Profile, gap_s: float) -> Moment:
        *earlier, last = sessions
        now = max(self.at, last.end)  # the last play's length may be a mere default
        if now - last.end <= gap_s:
            return Moment(earlier, now, last, profile)
        return Moment(sessions, now, None, profile)


def score(sessions: DataFrame, scorer: Scorer) -> DataFrame:
    """Return forecasts for each listener of sessions with their profiles."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in whole_groups(batches, "user_id"):
            yield from scorer(table).to_batches()

    partitions = max(4, sessions.rdd.getNumPartitions())
    return (
        sessions.repartition(partitions, "user_id")
        .sortWithinPartitions("user_id", "start")
        .mapInArrow(run, SCHEMA)
    )


@cache
def _forecaster(archive: str) -> Forecaster:
    return Forecaster(fetched(archive))
