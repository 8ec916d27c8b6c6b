"""The churn jobs on Spark: a log with dirt to days, days to snapshots, days to risks."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.dataset as ds
import pytest

from glue_jobs.churn.dates import Dates
from glue_jobs.churn.snapshotting import SPLITS
from listening.archive import pack, write_prior
from listening.churn.days import COUNTS
from listening.churn.features import FEATURES, Snapshots
from listening.resources import ENDPOINT, target_model
from tests.unit.listening.churn.plain import Listener, activity

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark

BEGINS = datetime(2023, 1, 1, tzinfo=UTC)
FIRST = (BEGINS - datetime(1970, 1, 1, tzinfo=UTC)).days
DAYS, LISTENERS, HORIZONS = 110, 70, (3, 7, 14)
TRACKS = {"t0": 200.0, "t1": None}


def invented() -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Listener]]:
    """Return plays, events, and what they come to by listener and day."""
    rng = np.random.default_rng(1)
    plays, events, known = [], [], {}
    for number in range(LISTENERS):
        name = f"listener {number}"
        came = FIRST - 40 if number % 2 else np.nan
        known[name] = Listener({}, came)
        leaves = int(rng.geometric(0.01))
        for day in np.flatnonzero(rng.random(DAYS) < rng.beta(1, 3)):
            if day >= leaves:
                break
            counts = dict.fromkeys(COUNTS, 0.0)
            for i in range(int(rng.integers(1, 4))):
                track = f"t{rng.integers(2)}"
                seconds = float(rng.choice([5, 150, 170, 200]))
                at = BEGINS + timedelta(days=int(day), hours=6 + i)
                plays.append({
                    "user_id": name, "played_at": at.isoformat(), "track_id": track,
                    "artist_name": f"Artist {track}", "played_s": seconds,
                    "device": "car" if number % 3 else "",
                })  # fmt: skip
                counts["plays"] += 1
                counts["seconds"] += seconds
                counts["full"] += track == "t0" and seconds >= 160
                counts["skips"] += seconds < 30
            own = {play["track_id"] for play in plays[-int(counts["plays"]) :]}
            counts["artists"] = len(own)
            if rng.random() < 0.3:
                at = BEGINS + timedelta(days=int(day), hours=20)
                events.append({"user_id": name, "at": at.isoformat(), "kind": "Search"})
                counts["searches"] += 1
            known[name].days[FIRST + int(day)] = counts
    return plays, events, known


PLAYS, EVENTS, KNOWN = invented()
DAMAGED = [PLAYS[1], PLAYS[2] | {"user_id": ""}, PLAYS[3] | {"played_s": -1}]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def bucket(run_glue: RunGlue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data bucket in which both jobs of the workflow have run."""
    root = tmp_path_factory.mktemp("bucket")
    batch = root / "raw" / "b"
    batch.mkdir(parents=True)
    write(batch / "plays.csv", PLAYS + DAMAGED)
    write(batch / "events.csv", [*EVENTS, EVENTS[0] | {"kind": "like"}])
    write(batch / "tracks.csv", [{"track_id": t, "length_s": s or ""} for t, s in TRACKS.items()])
    came = (BEGINS - timedelta(days=40)).isoformat()
    write(
        batch / "users.csv",
        [
            {"user_id": name, "registered_at": "" if np.isnan(one.came) else came}
            for name, one in KNOWN.items()
        ],
    )
    (batch / "_READY").touch()
    for job in ("activity", "snapshots"):
        ended = run(run_glue, job, root)
        assert ended.returncode == 0, ended.stderr[-3_000:]
    return root


def run(run_glue: RunGlue, job: str, root: Path, *more: str) -> CompletedProcess[str]:
    uri = f"file://{root}/"
    return run_glue(f"glue_jobs/churn/{job}.py", "--JOB_RUN_ID", "r1", "--data_uri", uri, *more)


def folder(root: Path, job: str) -> Path:
    return root / "churn" / job / "r1"


def test_days_are_what_was_done(bucket: Path) -> None:
    days = ds.dataset(folder(bucket, "activity") / "days").to_table().to_pylist()
    found = {(day["user_id"], day["day"]): day for day in days}
    expected = {(name, day) for name, one in KNOWN.items() for day in one.days}
    assert found.keys() == expected
    for (name, day), row in found.items():
        assert {c: row[c] for c in COUNTS} == pytest.approx(KNOWN[name].days[day])
        assert row["device"] in (None, "car")


def test_every_row_is_counted(bucket: Path) -> None:
    quality = json.loads((folder(bucket, "activity") / "quality.json").read_text())
    for table, rows in (("plays", len(PLAYS + DAMAGED)), ("events", len(EVENTS) + 1)):
        told = quality[table]
        assert told["rows_in"] == rows == told["rows_out"] + sum(told["dropped"].values())
    dropped = {reason: n for reason, n in quality["plays"]["dropped"].items() if n}
    assert dropped == {"no_user_id": 1, "negative_length": 1, "repeated": 1}
    assert quality["events"]["dropped"]["unknown_kind"] == 1


def test_snapshots_are_the_features_of_their_dates(bucket: Path) -> None:
    manifest = json.loads((folder(bucket, "snapshots") / "manifest.json").read_text())
    last = max(day for one in KNOWN.values() for day in one.days)
    dates = Dates.of((FIRST, last), every=7, ahead=14)
    assert manifest["dates"] == dates.to_json()
    assert manifest["features"] == list(FEATURES)
    assert (manifest["horizons"], manifest["devices"]) == (list(HORIZONS), ["car"])
    names = list(KNOWN)
    known = Snapshots(activity(list(KNOWN.values())))
    rows = 0
    for split in SPLITS:
        place = folder(bucket, "snapshots") / "snapshots" / f"split={split}"
        for row in ds.dataset(place).to_table().to_pylist():
            owner = np.array([names.index(row["user_id"])])
            expected = known.features(owner, row["date"])[0].tolist()
            assert row["features"] == pytest.approx(expected)
            gone = [bool(known.gone(owner, row["date"], days)[0]) for days in HORIZONS]
            assert row["gone"] == gone
            rows += 1
    assert rows == manifest["outputs"]["snapshots/"] > 100
    plays = FEATURES.index("plays_30")
    for date, bound in manifest["bots_above"].items():
        most = known.features(known.population(int(date)), int(date))[:, plays].max()
        assert 0 < bound <= most


def test_risks_are_sorted_and_nobody_is_lost(
    run_glue: RunGlue, bucket: Path, tmp_path: Path
) -> None:
    write_prior(tmp_path / "prior", system="churn")
    archive = tmp_path / "models" / (ENDPOINT + target_model("churn", "prior"))
    archive.parent.mkdir(parents=True)
    pack(tmp_path / "prior", archive)
    more = ("--models_uri", f"file://{tmp_path}/models/", "--champion", "prior")
    ended = run(run_glue, "scoring", bucket, *more, "--at", "2023-03-20")
    assert ended.returncode == 0, ended.stderr[-3_000:]
    date = FIRST + (datetime(2023, 3, 20, tzinfo=UTC) - BEGINS).days
    known = Snapshots(activity(list(KNOWN.values())))
    owner = known.population(date)
    recency = known.features(owner, date)[:, FEATURES.index("recency")]
    expected = dict(
        zip(np.array(list(KNOWN))[owner].tolist(), recency / (recency + 14), strict=True)
    )
    rows = ds.dataset(folder(bucket, "scoring") / "listeners").to_table().to_pylist()
    assert {row["user_id"]: row["gone_14"] for row in rows} == pytest.approx(expected)
    order = [(-row["gone_14"], row["user_id"]) for row in rows]
    assert order == sorted(order)
    manifest = json.loads((folder(bucket, "scoring") / "manifest.json").read_text())
    told = manifest["quality"]["listeners"]
    assert told["rows_in"] == told["rows_out"] + told["dropped"]["not_active_lately"]
    assert told["rows_out"] == len(rows)


@pytest.mark.parametrize(
    ("job", "arguments", "words"),
    [
        ("snapshots", ("--horizons", "3,x"), "--horizons is '3,x', but must be days from 1 to 90"),
        (
            "snapshots",
            ("--bots_quantile", "0.2"),
            "--bots_quantile is 0.2, but must be from 0.5 to 1",
        ),
        (
            "snapshots",
            ("--log_ends", "never"),
            "--log_ends is 'never', but must be together or each",
        ),
        (
            "snapshots",
            ("--horizons", "90"),
            "at least 121 are needed: 30 before a date and 90 after",
        ),
        ("activity", ("--max_dropped_share", "0"), "the share of plays that are dropped is 0.0"),
        ("scoring", ("--at", "soon"), "--at is 'soon', but must be a date such as 2024-05-01"),
    ],
)
def test_what_cannot_be_worked_with_is_refused_in_a_sentence(
    run_glue: RunGlue, bucket: Path, job: str, arguments: tuple[str, ...], words: str
) -> None:
    ended = run(run_glue, job, bucket, *arguments)
    assert ended.returncode != 0
    assert words in ended.stderr.strip().splitlines()[-1]
