"""A features run of invented listeners, as the Glue jobs write it, made by the same functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glue_jobs.sessions.folding import SPLITS, Splitting, fold
from listening.sessions.state import FEATURES

if TYPE_CHECKING:
    from pathlib import Path

LISTENERS, SESSIONS, PLAY_S, GAP_S = 32, 60, 200.0, 1_800.0


def invented() -> pa.Table:
    """Return sessions: each listener's own length, longer in the evening, and chance."""
    rng = np.random.default_rng(3)
    rows = []
    for listener in range(LISTENERS):
        own = rng.normal(7.3, 0.6)
        for day in range(SESSIONS):
            hour = rng.choice([8, 13, 20])
            length = float(np.exp(own + (0.5 if hour == 20 else 0.0) + rng.normal(0, 0.4)))
            plays = max(round(length / PLAY_S), 1)
            start = 1.6e9 + 86_400.0 * day + 3_600.0 * hour + float(rng.uniform(0, 3_000))
            rows.append(
                {
                    "user_id": f"listener-{listener:02}",
                    "start": start,
                    "end": start + length,
                    "plays": plays,
                    "skips": 0,
                    "artists": 1,
                    "top_artist": "Air",
                    "is_bot": False,
                    "elapsed": np.linspace(length / plays, length, plays).tolist(),
                    "skipped": [False] * plays,
                    "gender": None,
                    "age": 20.0 + listener,
                    "registered": None,
                }
            )
    table = pa.Table.from_pylist(rows)
    return table.set_column(
        table.schema.get_field_index("gender"), "gender", pa.nulls(len(rows), pa.float64())
    ).set_column(
        table.schema.get_field_index("registered"), "registered", pa.nulls(len(rows), pa.float64())
    )


@pytest.fixture(scope="session")
def features_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a features run."""
    folder = tmp_path_factory.mktemp("session_features")
    found = fold(invented(), Splitting(held_out=0.2, log_ends=2e9, gap_s=GAP_S))
    for split in SPLITS:
        rows = found.filter(pa.compute.equal(found["split"], split)).drop_columns("split")
        place = folder / "sessions" / f"split={split}"
        place.mkdir(parents=True)
        pq.write_table(rows, place / "part-0.parquet")
    train = pq.read_table(folder / "sessions" / "split=train")
    last = train.group_by("user_id").aggregate([("number", "max")]).to_pylist()
    ends = {(row["user_id"], row["number_max"]) for row in last}
    summaries = [r for r in train.to_pylist() if (r["user_id"], r["number"]) in ends]
    profiles = pa.Table.from_pylist(
        [{"user_id": r["user_id"], "summary": r["summary"]} for r in summaries]
    )
    (folder / "profiles").mkdir()
    pq.write_table(profiles, folder / "profiles" / "part-0.parquet")
    (folder / "manifest").mkdir()
    (folder / "manifest" / "manifest.json").write_text(
        json.dumps(
            {
                "format_version": 1,
                "run": "f1",
                "batch": "log",
                "sessions_run": "s1",
                "synthetic": True,
                "features": list(FEATURES),
                "salt": "s",
                "parameters": {"gap_s": GAP_S},
            }
        )
    )
    return folder
