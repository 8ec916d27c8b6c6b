"""Activity to risks at a date, by a bundle that each executor loads once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from glue_jobs.champion import fetched
from glue_jobs.churn.snapshotting import Listeners, whole_partition
from listening.churn.features import FEATURES, Snapshots
from listening.churn.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pyspark.sql import DataFrame

_ROWS_AT_ONCE = 10_000
_REASONS = pa.list_(pa.string())


def schema(horizons: Sequence[int]) -> str:
    """Return the schema of risks: a column a horizon, and what they were reckoned from."""
    return ", ".join(
        (
            "user_id string",
            *(f"gone_{days} double" for days in horizons),
            "recency_alone double, decile int, last_active date, is_bot boolean, "
            "bundle_version string, row array<float>",
        )
    )


@dataclass(frozen=True)
class Scoring:
    """From activity to risks.

    Parameters
    ----------
    archive
        The bundle's archive among Spark's files.
    date
        Days since 1970; what happened from it on is not looked at.
    """

    archive: str
    date: int

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return the risks of whole listeners who did something lately, of `schema`."""
        scorer, people = _scorer(self.archive), Listeners.of(table)
        known = Snapshots(people.activity)
        owner = known.population(self.date)
        scored = scorer.score(known, owner, self.date, people.devices)
        recency = scored.rows[:, FEATURES.index("recency")].astype(np.int64)
        risks, n = scored.risks, len(owner)
        width = scored.rows.shape[1]
        rows = pa.array(scored.rows.ravel(), pa.float32())
        offsets = pa.array(np.arange(n + 1, dtype=np.int32) * width)
        columns = {
            "user_id": people.user_ids.take(pa.array(owner)),
            **{f"gone_{days}": risks.probability[:, i] for i, days in enumerate(scorer.days)},
            "recency_alone": risks.recency_alone[:, -1],
            "decile": pa.array(risks.tenth[:, -1], pa.int32()),
            "last_active": pa.array((self.date - recency).astype(np.int32), pa.date32()),
            "is_bot": scored.is_bot,
            "bundle_version": pa.array([scorer.archive.version] * n, pa.string()),
            "row": pa.ListArray.from_arrays(offsets, rows),
        }
        return pa.table(columns)


def score(days: DataFrame, scoring: Scoring, horizons: Sequence[int]) -> DataFrame:
    """Return risks of listeners, each one's days within one partition."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = whole_partition(batches)
        if table is not None:
            yield from scoring(table).to_batches(max_chunksize=_ROWS_AT_ONCE)

    return days.mapInArrow(run, schema(horizons))


def with_reasons(risks: DataFrame, archive: str, days: int, *, above: float) -> DataFrame:
    """Return risks with reasons in words in place of ``row``, in the order that they have.

    Parameters
    ----------
    risks
        Of `schema`.
    archive
        The bundle's archive among Spark's files.
    days
        The horizon whose risk is told of.
    above
        Reasons are null where that risk is lower: those of trees cost milliseconds.
    """
    kept = [field for field in risks.schema if field.name != "row"]

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = _scorer(archive)
        for batch in batches:
            told = np.flatnonzero(batch.column(f"gone_{days}").to_numpy() >= above)
            reasons: list[list[str] | None] = [None] * batch.num_rows
            if len(told):
                flat = batch.column("row").take(pa.array(told)).flatten().to_numpy()
                rows = np.ascontiguousarray(flat.reshape(len(told), -1), dtype=np.float32)
                for place, own in zip(told.tolist(), scorer.reasons(rows, days), strict=True):
                    reasons[place] = [str(one) for one in own]
            yield pa.RecordBatch.from_arrays(
                [*(batch.column(field.name) for field in kept), pa.array(reasons, _REASONS)],
                names=[*(field.name for field in kept), "reasons"],
            )

    fields = [f"{field.name} {field.dataType.simpleString()}" for field in kept]
    return risks.mapInArrow(run, ", ".join([*fields, "reasons array<string>"]))


@cache
def _scorer(archive: str) -> Scorer:
    return Scorer(fetched(archive))
