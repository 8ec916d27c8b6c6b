"""Both session jobs on Spark, on a small log with every kind of dirt."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from glue_jobs.sessions.folding import BUCKETS, SALT
from listening.sessions.cut import cut, play_lengths
from listening.sessions.state import FEATURES, SUMMARY, Profile, Session, State
from listening.splits import bucket

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark

GAP = 1_800.0
BEGINS = int(datetime(2023, 5, 1, tzinfo=UTC).timestamp())
DAY, HOUR = 86_400, 3_600
REGISTERED = BEGINS - 100 * DAY
HELD_OUT = next(
    name for i in range(1_000)
    if bucket(name := f"held {i}", salt=SALT, buckets=BUCKETS) < 0.1 * BUCKETS
)  # fmt: skip
PROFILES = {
    "ann": Profile(gender=1.0, age=30.0, registered=float(REGISTERED)),
    "bob": Profile(gender=0.0, age=None, registered=None),
    HELD_OUT: Profile(gender=None, age=61.0, registered=None),
}
TRACKS = {"t0": 240.0, "t1": 180.5, "t2": 20.0}
UNKNOWN_TRACK = "t-none"


class Play(NamedTuple):
    user_id: str
    at: float
    """Seconds since 1970."""
    track_id: str | None
    played_s: float | None


def evenings(user: str, n: int, *, hour: int, seed: int, first_day: int = 0) -> list[Play]:
    """Return plays of one session a day or so, of lengths known, of the track's and cut short."""
    rng = np.random.default_rng(seed)
    plays = []
    for day in range(first_day, first_day + n):
        at = BEGINS + day * DAY + hour * HOUR + int(rng.integers(0, 3_000))
        for _ in range(rng.integers(1, 6)):
            track = f"t{rng.integers(0, 3)}"
            played = None if rng.random() < 0.5 else float(rng.integers(1, 300))
            plays.append(Play(user, at + 0.25, track, played))
            at += int(rng.choice([10, 60, 200, 400]))
    return plays


def strange(user: str, n: int, *, played: float, first_day: int = 0) -> list[Play]:
    """Return plays of a listener who hears some of which nothing is known."""
    days = range(first_day, first_day + n)
    return [
        Play(user, BEGINS + day * DAY + 9 * HOUR + i * 100, UNKNOWN_TRACK, played if i else None)
        for day in days
        for i in range(3)
    ]


LAST_DAY = 20
UNFINISHED = [Play("ann", BEGINS + LAST_DAY * DAY, "t0", 100.0)]
"""Their session's end is the log's."""
KEPT = [
    *evenings("ann", 20, hour=22, seed=1),
    *evenings("bob", 12, hour=7, seed=2),
    *evenings("unheard of", 5, hour=12, seed=3),
    *evenings(HELD_OUT, 6, hour=18, seed=4),
    *strange("cy", 4, played=50.0),
    *(Play("eve", BEGINS + day * DAY, None, None) for day in range(2)),
    *UNFINISHED,
]
BOT = [Play("bot", BEGINS + DAY + 50 * i, "t0", 40.0) for i in range(1_500)]
LATER = [
    Play("ann", UNFINISHED[0].at + 200, "t1", None),
    *evenings("ann", 4, hour=3, seed=5, first_day=LAST_DAY + 1),
    *evenings("bob", 9, hour=13, seed=6, first_day=LAST_DAY + 1),
    *evenings("new", 3, hour=13, seed=7, first_day=LAST_DAY + 1),
    *strange("cy", 9, played=2_000.0, first_day=LAST_DAY + 1),
]
DAMAGED = {
    "no_user_id": {"user_id": None},
    "no_time": {"played_at": "yesterday"},
    "no_track": {"track_id": None, "artist_name": " "},
    "negative_length": {"played_s": -1.0},
    "over_a_day": {"played_s": 86_401.0},
    "before_2000": {"played_at": "1999-12-31T23:59:59Z"},
    "in_the_future": {"played_at": "2098-01-01T00:00:00Z"},
}
REASONS = (*DAMAGED, "repeated")


def raw_rows(plays: list[Play]) -> list[dict[str, Any]]:
    rows = []
    for place, play in enumerate(plays):
        zone = timezone(timedelta(hours=(0, 4, -7)[place % 3]))
        rows.append(
            {
                "user_id": play.user_id,
                "played_at": datetime.fromtimestamp(play.at, zone).isoformat(),
                "track_id": play.track_id,
                "artist_name": f"Artist of {play.track_id}",
                "played_s": play.played_s,
            }
        )
    return rows


def write_batch(folder: Path, rows: list[dict[str, Any]]) -> None:
    shuffled = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    (folder / "plays").mkdir(parents=True)
    for part in range(2):
        own = shuffled[part::2]
        types = {"played_s": pa.float64()}
        columns = {n: pa.array([r[n] for r in own], types.get(n, pa.string())) for n in rows[0]}
        pq.write_table(pa.table(columns), folder / "plays" / f"part-{part}.parquet")
    tracks = [*TRACKS.items(), ("t0", 10.0), (UNKNOWN_TRACK, None), (UNKNOWN_TRACK, 0.0)]
    names, lengths = zip(*tracks, strict=True)
    pq.write_table(pa.table({"track_id": names, "length_s": lengths}), folder / "tracks.parquet")
    registered = datetime.fromtimestamp(REGISTERED, UTC).isoformat()
    users = [
        ("ann", " F ", 30, registered),
        ("ann", None, None, None),
        ("bob", "Male", 200, None),
        (HELD_OUT, "?", 61, "soon"),
        ("silent", "f", 20, None),
        (None, "f", 20, None),
    ]
    columns = zip(*users, strict=True)
    names = ("user_id", "gender", "age", "registered_at")
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), folder / "users.parquet")
    (folder / "_READY").touch()


def dirty(plays: list[Play]) -> list[dict[str, Any]]:
    rows = raw_rows([*plays, *BOT])
    again = raw_rows([plays[0]._replace(at=plays[0].at + 0.5)])
    return [*rows, *again, *(rows[0] | change for change in DAMAGED.values())]


def job(run_glue: RunGlue, name: str, data: Path, run: str, *more: str) -> CompletedProcess[str]:
    return run_glue(
        *(f"glue_jobs/sessions/{name}.py", "--JOB_NAME", name, "--JOB_ID", "j_1"),
        *("--JOB_RUN_ID", f"jr_{run}", "--data_uri", f"{data.as_uri()}/", *more),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, run_glue: RunGlue) -> Path:
    """Run both jobs over the log, and over the log with what came later."""
    folder = tmp_path_factory.mktemp("data")
    write_batch(folder / "raw" / "first", dirty(KEPT))
    write_batch(folder / "raw" / "later", dirty([*KEPT, *LATER]))
    for batch in ("first", "later"):
        workflow = ("--WORKFLOW_NAME", "w", "--WORKFLOW_RUN_ID", f"wr_{batch}")
        for name, *more in (("sessions", "--batch", batch), ("session_features",)):
            ended = job(run_glue, name, folder, batch, *workflow, *more)
            assert ended.returncode == 0, ended.stderr[-3000:]
    return folder


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / "sessions" / name).read_text())


def sessions(folder: Path, batch: str = "first") -> list[dict[str, Any]]:
    table = ds.dataset(folder / f"sessions/sessions/wr_{batch}/sessions").to_table()
    return sorted(table.to_pylist(), key=lambda row: (row["user_id"], row["start"]))


def features(folder: Path, batch: str = "first") -> dict[tuple[str, int], dict[str, Any]]:
    place = folder / f"sessions/session_features/jr_{batch}/sessions"
    rows = ds.dataset(place, partitioning="hive").to_table().to_pylist()
    found = {(row["user_id"], row["number"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def expected_sessions(user: str, plays: list[Play] = KEPT) -> Any:
    own = sorted((play for play in plays if play.user_id == user), key=lambda play: play.at)
    nobody = np.zeros(len(own), dtype=np.int64)
    nan = [np.nan if play.played_s is None else play.played_s for play in own]
    track_s = np.array([TRACKS.get(play.track_id or "", np.nan) for play in own])
    lengths = play_lengths(owner=nobody, played_s=np.array(nan), track_s=track_s)
    started = np.array([play.at for play in own])
    return cut(owner=nobody, started=started, length=lengths.seconds), lengths


USERS = sorted({play.user_id for play in KEPT})


def test_every_play_is_in_a_session_or_dropped_for_a_reason(data: Path) -> None:
    quality = read(data, "sessions/wr_first/quality.json")
    log, made = quality["log"], quality["sessions"]
    assert log["rows_in"] == len(KEPT) + len(BOT) + len(REASONS)
    assert log["rows_in"] == log["rows_out"] + sum(log["dropped"].values())
    assert log["dropped"] == dict.fromkeys(REASONS, 1)
    assert (log["bots"], log["of_bots"]) == (1, len(BOT))
    rows = sessions(data)
    assert made["rows_in"] == log["rows_out"] == sum(row["plays"] for row in rows)
    assert made["rows_out"] == len(rows)
    assert made["of_bots"] == sum(row["is_bot"] for row in rows) == 1
    assert sum(made["lengths"].values()) == made["rows_in"]
    assert made["lengths"] == {
        "play": sum(play.played_s is not None for play in (*KEPT, *BOT)),
        "track": sum(play.played_s is None and play.track_id in TRACKS for play in KEPT),
        **guessed(),
    }
    assert min(guessed().values()) > 0


def guessed() -> dict[str, int]:
    """Count lengths that were guessed: by the listener's plays before, or by nothing."""
    found, heard = {"listener": 0, "default": 0}, set()
    for play in sorted(KEPT, key=lambda play: play.at):
        if play.played_s is not None or play.track_id in TRACKS:
            heard.add(play.user_id)
        else:
            found["listener" if play.user_id in heard else "default"] += 1
    return found


@pytest.mark.parametrize("user", USERS)
def test_sessions_are_those_of_the_function(data: Path, user: str) -> None:
    rows = [row for row in sessions(data) if row["user_id"] == user]
    found, _ = expected_sessions(user)
    for name in ("start", "end", "plays", "skips"):
        assert [row[name] for row in rows] == getattr(found, name).tolist()
    flat = [each for row in rows for each in row["elapsed"]]
    assert flat == found.elapsed.astype(np.float32).tolist()
    assert [each for row in rows for each in row["skipped"]] == found.skipped.tolist()
    assert [len(row["elapsed"]) for row in rows] == found.plays.tolist()


def test_profiles_are_what_accounts_say(data: Path) -> None:
    rows = ds.dataset(data / "sessions/sessions/wr_first/listeners").to_table().to_pylist()
    found = {row["user_id"]: Profile(row["gender"], row["age"], row["registered"]) for row in rows}
    assert len(rows) == len(found)
    assert found == PROFILES | {"silent": Profile(gender=1.0, age=20.0)}


def test_every_session_is_in_a_split_or_left_out_for_a_reason(data: Path) -> None:
    quality = read(data, "session_features/jr_first/quality.json")["sessions"]
    assert quality["rows_in"] == len(sessions(data))
    splits, dropped = quality["splits"], quality["dropped"]
    assert quality["rows_in"] == sum(splits.values()) + sum(dropped.values())
    assert dropped == {"of_bots": 1, "unfinished": 1}
    rows = features(data)
    assert splits == Counter(row["split"] for row in rows.values())
    assert min(splits.values()) > 0
    assert splits["held_out"] == 6
    assert {row["split"] for (user, _), row in rows.items() if user == HELD_OUT} == {"held_out"}
    kinds = {(user, row["split"]) for (user, _), row in rows.items()}
    assert {split for user, split in kinds if user == "ann"} == {"train", "validation", "test"}
    assert ("bot", "train") not in kinds


@pytest.mark.parametrize("user", USERS)
def test_features_are_those_that_the_endpoint_computes(data: Path, user: str) -> None:
    rows = [row for (own, _), row in sorted(features(data).items()) if own == user]
    found, _ = expected_sessions(user)
    state, told = State(PROFILES.get(user, Profile())), []
    for start, end, plays, skips in zip(
        found.start.tolist(), found.end.tolist(), found.plays, found.skips, strict=True
    ):
        told.append((state.features(start), state.summary(), end - start))
        state.fold(Session(start, end, int(plays), int(skips)))
    assert len(rows) == len(told) - (user == "ann") > 0
    for row, (expected, summary, length) in zip(rows, told, strict=False):
        assert len(row["features"]) == len(FEATURES)
        np.testing.assert_array_equal(np.float32(row["features"]), np.float32(expected))
        np.testing.assert_array_equal(np.float32(row["summary"]), np.float32(summary))
        assert row["length"] == length


def test_splits_are_in_order_of_time(data: Path) -> None:
    order = ["train", "validation", "test"]
    rows = features(data)
    for user in set(USERS) - {HELD_OUT}:
        places = [
            order.index(row["split"]) for (own, _), row in sorted(rows.items()) if own == user
        ]
        assert places == sorted(places)


KNOWN = ("start", "length", "plays", "skips", "elapsed", "skipped", "features", "summary")


def same_before(data: Path, users: set[str]) -> int:
    first, later = features(data), features(data, "later")
    compared = 0
    for key, row in first.items():
        if key[0] in users:
            told, told_later = ([each[name] for name in KNOWN] for each in (row, later[key]))
            assert repr(told) == repr(told_later), key
            compared += 1
    return compared


def test_later_plays_change_nothing_that_was_known_before(data: Path) -> None:
    assert len(features(data, "later")) > len(features(data)) + 20
    assert same_before(data, set(USERS) - {"cy"}) > 40


def test_later_plays_change_no_length_that_was_guessed_before(data: Path) -> None:
    assert same_before(data, {"cy"}) == 4


def test_manifests_name_where_all_came_from(data: Path) -> None:
    made = read(data, "sessions/wr_first/manifest.json")
    kept = read(data, "session_features/jr_first/manifest.json")
    assert (made["run"], made["batch"], made["synthetic"]) == ("wr_first", "first", False)
    assert (kept["run"], kept["sessions_run"], kept["batch"]) == ("jr_first", "wr_first", "first")
    for name in ("rows", "inputs", "synthetic"):
        assert kept[name] == made[name]
    log = read(data, "sessions/wr_first/quality.json")["log"]
    assert made["rows"] == {"in": log["rows_in"], "out": log["rows_out"]}
    assert {name.split("/")[2] for name in made["inputs"]} >= {"tracks.parquet", "users.parquet"}
    assert made["outputs"] == {"sessions/": len(sessions(data))}
    assert kept["outputs"] == {"sessions/": len(features(data))}
    assert kept["features"] == list(FEATURES)
    assert kept["log_ends"] == UNFINISHED[0].at
    assert kept["parameters"]["gap_s"] == made["parameters"]["gap_s"] == GAP
    assert kept["parameters"]["held_out_share"] == 0.1
    assert read(data, "sessions/latest.json") == {"run": "wr_later"}
    assert read(data, "session_features/latest.json") == {"run": "jr_later"}


def test_profiles_are_of_training_sessions_alone(data: Path) -> None:
    place = data / "sessions/session_features/jr_first/profiles"
    found = {row["user_id"]: row for row in ds.dataset(place).to_table().to_pylist()}
    train: dict[str, list[dict[str, Any]]] = {}
    for (user, _), row in sorted(features(data).items()):
        if row["split"] == "train":
            train.setdefault(user, []).append(row)
    assert found.keys() == train.keys()
    assert HELD_OUT not in found
    for user, rows in train.items():
        lengths = [row["length"] for row in rows]
        profile = found[user]
        assert profile["sessions"] == len(rows)
        assert profile["plays"] == sum(row["plays"] for row in rows)
        assert profile["longest_s"] == max(lengths)
        told = (profile["mean_s"], profile["median_s"])
        assert told == pytest.approx((np.mean(lengths), np.median(lengths)))
        assert len(profile["summary"]) == len(SUMMARY)
        np.testing.assert_array_equal(profile["summary"], rows[-1]["summary"])


def refused(ended: CompletedProcess[str]) -> str:
    """Return the one sentence that a failed job ends with."""
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("listening.errors.DataError: "), last
    return last


def test_a_batch_without_plays_is_refused(tmp_path: Path, run_glue: RunGlue) -> None:
    write_batch(tmp_path / "raw" / "first", raw_rows(KEPT[:1]))
    shutil.rmtree(tmp_path / "raw" / "first" / "plays")
    last = refused(job(run_glue, "sessions", tmp_path, "1"))
    assert "raw/: no batch with plays and a _READY file; upload plays to raw/<batch>/" in last
    assert not (tmp_path / "sessions").exists()


def test_a_run_that_is_missing_is_named(tmp_path: Path, run_glue: RunGlue) -> None:
    last = refused(job(run_glue, "session_features", tmp_path, "1", "--sessions_run", "jr_gone"))
    assert "sessions/sessions/jr_gone/manifest.json: this run of the sessions job is not" in last


def test_too_many_held_out_are_refused(tmp_path: Path, run_glue: RunGlue) -> None:
    last = refused(job(run_glue, "session_features", tmp_path, "1", "--held_out_share", "0.9"))
    assert last.endswith("--held_out_share is 0.9, but must be above 0 and at most 0.5")
    assert not (tmp_path / "sessions").exists()


def write_sessions_run(folder: Path, starts: list[float]) -> None:
    """Write what the sessions job leaves of one listener."""
    n, run = len(starts), folder / "sessions/sessions/jr_short"
    table = {
        "user_id": ["ann"] * n,
        "start": pa.array(starts, pa.float64()),
        "end": pa.array([start + 600.0 for start in starts], pa.float64()),
        **dict.fromkeys(("plays", "artists"), pa.array([1] * n, pa.int32())),
        "skips": pa.array([0] * n, pa.int32()),
        "top_artist": pa.array([None] * n, pa.string()),
        "is_bot": [False] * n,
        "elapsed": pa.array([[600.0]] * n, pa.list_(pa.float32())),
        "skipped": [[False]] * n,
    }
    numbers = dict.fromkeys(("gender", "age", "registered"), pa.array([1.0]))
    tables = {"sessions": table, "listeners": {"user_id": ["ann"], **numbers, "country": ["SE"]}}
    for name, columns in tables.items():
        (run / name).mkdir(parents=True)
        pq.write_table(pa.table(columns), run / name / "part-0.parquet")
    manifest = {
        **{"run": "jr_short", "batch": "b", "rows": {}, "inputs": {}, "synthetic": False},
        "parameters": {"gap_s": GAP},
    }
    (run / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "starts",
    [
        pytest.param([1e9, 1e9 + DAY], id="one to learn from"),
        pytest.param([1e9], id="none has ended"),
    ],
)
def test_a_log_that_is_too_short_is_refused(
    tmp_path: Path, run_glue: RunGlue, starts: list[float]
) -> None:
    write_sessions_run(tmp_path, starts)
    ended = job(run_glue, "session_features", tmp_path, "1", "--sessions_run", "jr_short")
    last = refused(ended)
    assert "too few sessions to learn from and to judge on; give a longer log" in last
    assert not (tmp_path / "sessions/session_features/jr_1/manifest.json").exists()
