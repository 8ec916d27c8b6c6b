"""A run of snapshots of invented listeners, as the Glue job writes it, made by its functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glue_jobs.churn.dates import Dates
from glue_jobs.churn.snapshotting import SPLITS, TOGETHER, Listeners, Plan, snapshots_of
from listening.churn.days import COUNTS, Activity
from listening.churn.features import FEATURES

if TYPE_CHECKING:
    from pathlib import Path

LISTENERS, FIRST, DAYS, HORIZONS = 260, 17_000, 200, (3, 14)
BOT = "listener-0007"


def invented() -> tuple[Activity, list[str]]:
    """Return days of listeners who come at their own rate, until they leave."""
    rng = np.random.default_rng(4)
    first, days, counts = [0], [], []
    for listener in range(LISTENERS):
        rate = rng.beta(1.5, 3)
        leaves = rng.geometric(0.006)
        own = FIRST + np.flatnonzero(rng.random(DAYS) < rate)
        own = own[own < FIRST + leaves]
        days += own.tolist()
        first.append(len(days))
        for _ in own:
            plays = 10_000 if f"listener-{listener:04}" == BOT else 1 + rng.poisson(5)
            row = dict.fromkeys(COUNTS, 0.0) | {"plays": plays, "seconds": 200.0 * plays}
            counts.append([row[name] for name in COUNTS])
    activity = Activity(
        first=np.array(first),
        day=np.array(days),
        counts=np.array(counts, dtype=np.float64),
        device=np.array(days) % 3 - 1,
        came=np.full(LISTENERS, np.nan),
    )
    return activity, [f"listener-{listener:04}" for listener in range(LISTENERS)]


@pytest.fixture(scope="session")
def snapshots_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a features run."""
    folder = tmp_path_factory.mktemp("snapshots")
    activity, names = invented()
    dates = Dates.of((FIRST, FIRST + DAYS - 1), every=7, ahead=max(HORIZONS))
    people = Listeners(activity, pa.array(names), ["car", "phone"])
    found = pa.concat_tables(snapshots_of(people, Plan(dates, HORIZONS, TOGETHER)))
    for split in SPLITS:
        rows = found.filter(pa.compute.equal(found["split"], split)).drop_columns("split")
        place = folder / "snapshots" / f"split={split}"
        place.mkdir(parents=True)
        pq.write_table(rows, place / "part-0.parquet")
    (folder / "manifest").mkdir()
    (folder / "manifest" / "manifest.json").write_text(
        json.dumps(
            {
                "format_version": 1,
                "run": "f1",
                "activity_run": "a1",
                "batch": "log",
                "synthetic": True,
                "features": list(FEATURES),
                "horizons": list(HORIZONS),
                "devices": ["car", "phone"],
                "bots_above": {str(date): 5_000.0 for date in dates.all},
                "dates": dates.to_json(),
                "salt": "s",
                "parameters": {"every_days": 7, "log_ends": TOGETHER, "bots_quantile": 0.999},
            }
        )
    )
    return folder
