"""The charts job on Spark: lists by window and place, and how lists did, on a small log."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.dataset as ds
import pytest

from listening.charts.parts import HALF_LIVES, WINDOWS
from listening.charts.scores import METHODS

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark

END = datetime(2024, 3, 1, tzinfo=UTC)
DAYS, LISTENERS, TRACKS, LEAST = 80, 60, 40, 3
SPAM = "spam"


def invented() -> list[dict[str, Any]]:
    """Return plays, the last of them on the day before `END`; two tracks are Japan's alone."""
    rng = np.random.default_rng(2)
    plays = []
    for listener in range(LISTENERS):
        for day in range(DAYS):
            for hour in rng.choice(24, int(rng.integers(0, 3)), replace=False):
                number = int(TRACKS * rng.random() ** 2)
                if listener % 10 == 0 and rng.random() < 0.7:
                    number = TRACKS + int(rng.integers(2))
                at = END - timedelta(days=day, hours=int(hour) + 1, seconds=listener)
                plays.append(play(f"u{listener}", f"t{number}", at))
    return plays


def play(user: str, track: str | None, at: datetime) -> dict[str, Any]:
    return {
        "user_id": user, "track_id": track or "", "artist_name": "" if track == "t3" else "Air",
        "track_name": "" if track == "t3" else f"Song {track}", "played_at": at.isoformat(),
        "played_s": 100,
    }  # fmt: skip


PLAYS = invented()
FRAUD = [play("fraud", SPAM, END - timedelta(hours=1, seconds=2 * i)) for i in range(400)]
DAMAGED = [PLAYS[0] | {"played_s": -4}, PLAYS[1] | {"user_id": ""}]
EVENTS = [
    {"user_id": "u1", "at": (END - timedelta(hours=9)).isoformat(), "kind": kind, "track_id": track}
    for kind, track in (("download", "t1"), ("search", ""), ("like", "t1"))
]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def run(run_glue: RunGlue, root: Path, *more: str) -> CompletedProcess[str]:
    uri = f"file://{root}/"
    return run_glue("glue_jobs/charts/charts.py", "--JOB_RUN_ID", "r1", "--data_uri", uri, *more)


@pytest.fixture(scope="module")
def folder(run_glue: RunGlue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bucket")
    batch = root / "raw" / "b"
    batch.mkdir(parents=True)
    write(batch / "plays.csv", PLAYS + FRAUD + DAMAGED)
    write(batch / "events.csv", EVENTS)
    users = [
        {"user_id": f"u{i}", "country": ("Japan", "Germany", "")[i % 10 and 1 + i % 2]}
        for i in range(LISTENERS)
    ]
    write(batch / "users.csv", users)
    (batch / "_READY").touch()
    ended = run(run_glue, root, "--judged_weeks", "5")
    assert ended.returncode == 0, ended.stderr[-3_000:]
    return root / "charts" / "charts" / "r1"


def lists(folder: Path, window: str, place: str) -> list[dict[str, Any]]:
    rows = ds.dataset(folder / "lists").to_table().to_pylist()
    found = [row for row in rows if (row["window"], row["place"]) == (window, place)]
    assert [row["rank"] for row in found] == list(range(1, len(found) + 1))
    return found


@pytest.mark.parametrize("window", WINDOWS)
def test_the_worlds_list_is_by_listeners_and_their_last_plays(folder: Path, window: str) -> None:
    last: dict[tuple[str, str], datetime] = {}
    listeners: Counter[str] = Counter()
    inside = set()
    for one in PLAYS:
        at, key = datetime.fromisoformat(one["played_at"]), (one["track_id"], one["user_id"])
        last[key] = max(last.get(key, at), at)
        if at >= END - timedelta(days=WINDOWS[window]):
            inside.add(key)
    for track, _ in inside:
        listeners[track] += 1
    score: Counter[str] = Counter()
    for (track, _), at in last.items():
        days = (END - at.replace(hour=0, minute=0, second=0)).days
        score[track] += 0.5 ** (days / HALF_LIVES[window])
    found = lists(folder, window, "world")
    assert {row["track_id"]: row["score"] for row in found} == pytest.approx(
        {track: value for track, value in score.items() if max(value, listeners[track]) >= LEAST}
    )
    assert all(row["listeners"] == listeners[row["track_id"]] for row in found)
    scores = [row["score"] for row in found]
    assert scores == sorted(scores, reverse=True)


def test_one_account_is_in_no_list(folder: Path) -> None:
    rows = ds.dataset(folder / "lists").to_table().to_pylist()
    assert SPAM not in {row["track_id"] for row in rows}


def test_places_have_lists_of_their_own(folder: Path) -> None:
    japan, germany = (lists(folder, "week", place) for place in ("JP", "DE"))
    own = {f"t{TRACKS}", f"t{TRACKS + 1}"}
    assert own <= {row["track_id"] for row in japan[:4]}
    assert not own & {row["track_id"] for row in germany[:10]}
    places = {row["place"] for row in ds.dataset(folder / "lists").to_table().to_pylist()}
    assert places == {"world", "east-asia", "JP", "DE", *(places - {"world", "JP", "DE"})}
    assert len(places) == 5


def test_marks_names_and_counts(folder: Path) -> None:
    world = lists(folder, "week", "world")
    before = [row["previous_rank"] for row in world if row["previous_rank"] is not None]
    assert len(set(before)) == len(before) > len(world) / 2
    assert all(row["is_new"] == (row["previous_rank"] is None) for row in world)
    (nameless,) = [row for row in world if row["track_id"] == "t3"]
    assert (nameless["artist_name"], nameless["track_name"]) == (None, None)
    (first,) = [row for row in world if row["track_id"] == "t1"]
    assert (first["downloads"], first["searches"]) == (1, 0)
    quality = json.loads((folder / "quality.json").read_text())
    for table, n in (("log", len(PLAYS + FRAUD + DAMAGED)), ("events", 3)):
        told = quality[table]
        assert told["rows_in"] == n == told["rows_out"] + sum(told["dropped"].values())
    assert quality["events"]["dropped"] == {
        "no_user_id": 0, "no_time": 0, "no_track": 1, "unknown_kind": 1, "before_2000": 0,
        "in_the_future": 0,
    }  # fmt: skip
    assert quality["lists"]["without_name"] > 0


def test_lists_are_judged_by_the_week_that_follows(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    end = (END - datetime(1970, 1, 1, tzinfo=UTC)).days
    assert manifest["end"] == end
    assert manifest["weeks"] == [end - 7 * i for i in range(5, 0, -1)]
    weeks = ds.dataset(folder / "weeks").to_table().to_pylist()
    assert {(row["date"], row["window"], row["method"]) for row in weeks} == {
        (date, window, method)
        for date in manifest["weeks"]
        for window in WINDOWS
        for method in METHODS
    }
    judged = ds.dataset(folder / "judged").to_table().to_pylist()
    assert "user_id" not in judged[0]
    for method in METHODS:
        sums = sum(row["hit10"] for row in judged if row["method"] == method)
        assert sums == sum(row["hit10"] for row in weeks if row["method"] == method)
    active = Counter(
        (END - datetime.fromisoformat(one["played_at"])).days // 7
        for one in {(p["user_id"], (END - datetime.fromisoformat(p["played_at"])).days // 7): p
                    for p in [*PLAYS, *FRAUD]}.values()
    )  # fmt: skip
    (last,) = [
        row for row in weeks
        if (row["date"], row["window"], row["method"]) == (end - 7, "week", "plays")
    ]  # fmt: skip
    assert last["n_hit10"] == active[0]


def test_what_cannot_be_worked_with_is_refused(run_glue: RunGlue, folder: Path) -> None:
    root = folder.parents[2]
    for arguments, words in (
        (("--method", "magic"), "--method is 'magic', but must be decayed or listeners or"),
        (("--least_listeners", "1000"), "no track has 1000 listeners"),
    ):
        ended = run(run_glue, root, *arguments)
        assert ended.returncode != 0
        assert words in ended.stderr.strip().splitlines()[-1]
