"""Logs at the edge: the least that will do, what is refused, and the same bytes from the same."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from glue_jobs.churn.snapshotting import PARTS, REST, SPLITS
from listening.churn.days import COUNTS
from listening.churn.features import FEATURES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark

FIRST = 19_400
"""A day of 2023."""
LATE = FIRST + 60
Days = dict[str, dict[int, int]]
"""Plays by listener and day."""


def log(*, listeners: int, days: int) -> Days:
    """Return listeners who play on most days; some leave."""
    rng = np.random.default_rng(4)
    found: Days = {}
    for number in range(listeners):
        until = days if number % 3 else int(rng.integers(20, days))
        active = np.flatnonzero(rng.random(until) < 0.5)
        found[f"listener {number}"] = {FIRST + int(d): int(rng.integers(1, 9)) for d in active}
    return found


def with_stray(days: Days, day: int) -> Days:
    return days | {"listener 0": {day: 1} | days["listener 0"]}


def louder_from(days: Days, day: int) -> Days:
    return {
        name: {d: plays * (100 if d >= day else 1) for d, plays in own.items()}
        for name, own in days.items()
    }


def write_activity(folder: Path, run: str, days: Days) -> None:
    """Write what the activity job leaves."""
    rows = [(name, day, plays) for name, own in days.items() for day, plays in own.items()]
    names, when, plays = (list(values) for values in zip(*rows, strict=True)) if rows else [[]] * 3
    counts = {
        name: pa.array(plays, pa.float64() if name == "seconds" else pa.int32()) for name in COUNTS
    }
    tables = {
        "days": {
            "user_id": pa.array(names, pa.string()),
            "day": pa.array(when, pa.int32()),
            **counts,
            "device": pa.nulls(len(names), pa.string()),
        },
        "listeners": {"user_id": pa.array([], pa.string()), "came": pa.array([], pa.int32())},
    }
    target = folder / "churn" / "activity" / run
    for name, columns in tables.items():
        (target / name).mkdir(parents=True)
        pq.write_table(pa.table(columns), target / name / "part-0.parquet")
    manifest = {
        **{"run": run, "batch": "b", "rows": {}, "inputs": {}, "synthetic": False},
        "outputs": {"days/": len(names)},
    }
    (target / "manifest.json").write_text(json.dumps(manifest))


def write_dates(folder: Path, days: Days) -> None:
    """Write a batch that tells of dates, artists and blank devices alone."""
    rows = [(name, day) for name, own in days.items() for day, n in own.items() for _ in range(n)]
    batch = folder / "raw" / "dates"
    (batch / "plays").mkdir(parents=True)
    names, when = (list(values) for values in zip(*rows, strict=True))
    n = len(rows)
    table = pa.table(
        {
            "user_id": names,
            "played_at": pa.array(when, pa.int32()).cast(pa.date32()),
            "artist_name": ["Air"] * n,
            "device": [" "] * n,
        }
    )
    half = n // 2
    pq.write_table(table.slice(0, half), batch / "plays" / "0.parquet")
    pq.write_table(table.slice(half), batch / "plays" / "1.parquet")
    (batch / "_READY").touch()


BASE = log(listeners=60, days=120)
SHORT = log(listeners=60, days=30 + 14 + 3)
ACTIVITY: dict[str, Days] = {
    "base": BASE,
    "stray": with_stray(BASE, 12_500),
    "louder": louder_from(BASE, LATE),
    "nobody": {},
    "few": {"listener 3": BASE["listener 3"]},
    "too_short": log(listeners=60, days=30 + 14),
}
BAD = {
    "horizons": ("²", "0", "91", "-3", "3,,7", "3;7", "7.5", ""),
    "bots_quantile": ("0.49", "1.01", "nan", "most"),
    "every_days": ("0", "weekly"),
    "log_ends": ("each other",),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("edge")


@pytest.fixture(scope="module")
def ended(folder: Path, run_glue: RunGlue) -> dict[str, list[str]]:
    """Run all jobs, and return the kind and the words of each one's error."""
    for name, days in ACTIVITY.items():
        write_activity(folder, name, days)
    write_dates(folder, SHORT)
    uri = ("--data_uri", folder.as_uri())
    runs = {
        f"snapshots {name}": ["snapshots", "--JOB_RUN_ID", name, "--activity_run", name, *uri]
        for name in ACTIVITY
    }
    for run in ("dates", "again"):
        mine = ("--JOB_RUN_ID", run, *uri)
        runs |= {
            f"activity {run}": ["activity", *mine],
            f"snapshots {run}": ["snapshots", *mine, "--activity_run", run],
        }
    for argument, values in BAD.items():
        for value in values:
            given = (f"--{argument}", value, *uri, "--JOB_RUN_ID", "bad", "--activity_run", "base")
            runs[f"{argument} {value}"] = ["snapshots", *given]
    told = run_glue("tests/unit/glue_jobs/churn/run_jobs.py", json.dumps(list(runs.values())))
    assert told.returncode == 0, told.stderr[-3000:]
    return dict(zip(runs, json.loads(told.stdout.splitlines()[-1]), strict=True))


def test_arguments_that_are_wrong_are_named(ended: dict[str, list[str]], folder: Path) -> None:
    for argument, values in BAD.items():
        for value in values:
            kind, words = ended[f"{argument} {value}"]
            assert kind == "DataError", (argument, value, words)
            assert words.startswith(f"--{argument} is "), words
            assert "\n" not in words
    assert not (folder / "churn/snapshots/bad").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "nobody did anything; give another log"),
        ("few", "too few listeners or dates, none of them for"),
        ("too_short", "the log has 44 days; at least 45 are needed: 30 before a date and 14 after"),
    ],
)
def test_logs_of_too_little_are_refused(
    ended: dict[str, list[str]], folder: Path, name: str, words: str
) -> None:
    kind, told = ended[f"snapshots {name}"]
    assert kind == "DataError", told
    assert words in told
    assert told.startswith(f"{folder.as_uri()}/churn/activity/{name}/: ")
    assert "\n" not in told
    assert not (folder / "churn/snapshots" / name / "manifest.json").exists()


def manifest(folder: Path, run: str, job: str = "snapshots") -> Any:
    return json.loads((folder / "churn" / job / run / "manifest.json").read_text())


def rows(folder: Path, run: str) -> list[dict[str, Any]]:
    place = folder / "churn" / "snapshots" / run / "snapshots"
    table = ds.dataset(place, partitioning="hive").to_table()
    return sorted(table.to_pylist(), key=lambda row: (row["split"], row["date"], row["user_id"]))


def test_a_damaged_time_does_not_move_the_dates(ended: dict[str, list[str]], folder: Path) -> None:
    assert ended["snapshots base"] == ended["snapshots stray"] == ["", ""]
    base, stray = manifest(folder, "base"), manifest(folder, "stray")
    assert stray["dates"] == base["dates"]
    assert stray["log"] == base["log"] == [FIRST, FIRST + 119]
    assert {row["split"] for row in rows(folder, "stray")} == set(SPLITS)


def test_bots_are_those_of_what_came_before_the_date(
    ended: dict[str, list[str]], folder: Path
) -> None:
    assert ended["snapshots louder"] == ["", ""]
    base, louder = (manifest(folder, name)["bots_above"] for name in ("base", "louder"))
    assert base.keys() == louder.keys() == {str(row["date"]) for row in rows(folder, "base")}
    for date in base:
        assert (louder[date] == base[date]) == (int(date) <= LATE), date
    assert {int(date) <= LATE for date in base} == {True, False}
    place = FEATURES.index("plays_30")
    for date, bound in base.items():
        plays = [r["features"][place] for r in rows(folder, "base") if r["date"] == int(date)]
        assert bound == max(plays)  # of so few listeners, the 99.9th percentile is the most


def test_a_manifest_tells_all_that_training_needs(
    ended: dict[str, list[str]], folder: Path
) -> None:
    assert ended["snapshots base"] == ["", ""]
    found = manifest(folder, "base")
    assert found.keys() == {
        *("format_version", "run", "activity_run", "batch", "rows", "inputs", "outputs"),
        *("synthetic", "features", "horizons", "devices", "bots_above", "log", "dates", "salt"),
        *("parameters", "versions"),
    }
    assert (found["run"], found["activity_run"], found["batch"]) == ("base", "base", "b")
    assert found["outputs"] == {"snapshots/": len(rows(folder, "base"))}
    assert found["parameters"] == {
        **{"every_days": 7, "log_ends": "together", "bots_quantile": 0.999}
    }
    assert found["salt"] == "listening-churn"
    quality = json.loads((folder / "churn/snapshots/base/quality.json").read_text())
    assert quality["days_in"] == sum(map(len, BASE.values()))
    for split in SPLITS:
        own = [row for row in rows(folder, "base") if row["split"] == split]
        assert quality["splits"][split] == len(own) > 0
        for place, days in enumerate(("3", "7", "14")):
            share = np.mean([row["gone"][place] for row in own])
            assert quality["gone"][split][days] == pytest.approx(share, abs=1e-6)


def test_the_least_log_that_will_do(ended: dict[str, list[str]], folder: Path) -> None:
    """Dates, artists and nothing else, of so few days that parts cannot be parted by time."""
    assert ended["activity dates"] == ended["snapshots dates"] == ["", ""]
    made, kept = manifest(folder, "dates", "activity"), manifest(folder, "dates")
    plays = sum(sum(own.values()) for own in SHORT.values())
    quality = json.loads((folder / "churn/activity/dates/quality.json").read_text())
    assert quality["plays"]["dropped"]["repeated"] == 0  # midnights
    assert quality["plays"]["rows_out"] == plays
    assert made["rows"]["in"] == quality["plays"]["rows_in"]
    assert quality["events"] == {
        "rows_in": 0,
        "rows_out": 0,
        "dropped": quality["events"]["dropped"],
    }
    assert not kept["dates"]["by_time"]
    assert (kept["devices"], kept["dates"]["rest"]) == ([], [])
    found = rows(folder, "dates")
    assert {row["split"] for row in found} == set(PARTS)
    for feature in ("recency_searches", "recency_downloads"):
        assert {row["features"][FEATURES.index(feature)] for row in found} == {91}
    nothing = [*(folder / f"churn/snapshots/dates/snapshots/split={REST}").glob("*.parquet")]
    assert len(nothing) == 1  # a channel of training has an object
    assert pq.read_metadata(nothing[0]).num_rows == 0


def contents(folder: Path, job: str, run: str) -> list[tuple[str, str]]:
    """Return the folder and the hash of every part, in the order of their names."""
    root = folder / "churn" / job / run
    parts = sorted(root.rglob("*.parquet"), key=lambda path: (path.parent, path.name[:10]))
    return [
        (str(path.parent.relative_to(root)), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in parts
    ]


@pytest.mark.parametrize("job", ["activity", "snapshots"])
def test_the_same_log_gives_the_same_bytes(
    ended: dict[str, list[str]], folder: Path, job: str
) -> None:
    assert ended[f"{job} again"] == ["", ""]
    assert contents(folder, job, "again") == contents(folder, job, "dates") != []
    first, second = (manifest(folder, run, job) for run in ("dates", "again"))
    runs = {"run": "dates", "activity_run": "dates"}
    assert second | {name: runs[name] for name in runs if name in second} == first
