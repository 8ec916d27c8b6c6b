"""Both feature jobs on Spark, on a small batch with every kind of dirt."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from listening.country.artist_table import read_artist_table
from listening.country.layout import FeatureLayout
from listening.country.listeners import ListenerBatch, RawListener, listener_features

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark

MADE, KEPT = "country/embeddings/wr_1", "country/features/jr_features"
"""Where the runs of both jobs lie."""
LABELS = {
    "United States": 190,
    "Germany": 110,
    "DE": 20,
    "Korea, Republic of": 80,
    "Macedonia": 12,
    "Atlantis": 5,
    "none": 6,
    "": 4,
}


def write_batch(folder: Path) -> list[dict[str, Any]]:
    """Write raw data with dirt and return its listeners as a caller would give them."""
    rng = np.random.default_rng(11)
    users, plays, listeners = [], [], []
    scenes = {"United States": 0, "Germany": 1, "DE": 1, "Korea, Republic of": 2}
    labels = [label for label, count in LABELS.items() for _ in range(count)]
    for number, label in enumerate(labels):
        user = f"listener {number}"
        scene = scenes.get(label, 3)
        artists = [
            f"Scene {scene} Ärtist {i}" if rng.random() < 0.5 else f"World Artist {i}"
            for i in rng.choice(25, size=12, replace=False)
        ]
        counts: list[str | None] = [str(int(c)) for c in sorted(rng.integers(1, 3000, 12))[::-1]]
        artists += [artists[0].upper(), artists[1].replace("Ä", "√Ñ"), f"Once Only {number}"]
        counts += ["7", None, "n/a"]
        if number % 3 == 0:
            counts = [None] * len(counts)
        if number % 5 == 0:
            artists, counts = [*artists, None, "Negative"], [*counts, "4", "-999"]
        total = None if number % 4 == 0 else float(sum(int(c or 0) for c in counts[:12]))
        users.append((user, label or None, total))
        plays += [
            (user, rank, *play) for rank, play in enumerate(zip(artists, counts, strict=True), 1)
        ]
        listeners.append({"user": user, "label": label, "total": total, "plays": (artists, counts)})
    users += [("listener 1", "United States", None), (None, "Germany", 3.0), ("silent", "DE", 1.0)]
    plays += [plays[0], (None, 1, "World Artist 1", "5"), ("stranger", 1, "World Artist 2", "9")]
    folder.mkdir(parents=True)
    columns = list(zip(*users, strict=True))
    pq.write_table(
        pa.table(dict(zip(("user_id", "country", "total_scrobbles"), columns, strict=True))),
        folder / "users.parquet",
    )
    columns = list(zip(*plays, strict=True))
    pq.write_table(
        pa.table(dict(zip(("user_id", "rank", "artist_name", "playcount"), columns, strict=True))),
        folder / "top_artists.parquet",
    )
    (folder / "_READY").touch()
    return listeners


def job(run_glue: RunGlue, name: str, data: Path, *more: str) -> CompletedProcess[str]:
    return run_glue(
        *(f"glue_jobs/country/{name}.py", "--JOB_NAME", name, "--JOB_ID", "j_1"),
        *("--JOB_RUN_ID", f"jr_{name}", "--data_uri", f"{data.as_uri()}/", *more),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, run_glue: RunGlue) -> tuple[Path, list[Any]]:
    folder = tmp_path_factory.mktemp("data")
    listeners = write_batch(folder / "raw" / "first")
    workflow = ("--WORKFLOW_NAME", "w", "--WORKFLOW_RUN_ID", "wr_1")
    for name, *more in (("embeddings", "--dimensions", "6"), ("features", "--folds", "2")):
        ended = job(run_glue, name, folder, *workflow, *more)
        assert ended.returncode == 0, ended.stderr[-3000:]
    return folder, listeners


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def test_every_row_is_kept_or_dropped_for_a_reason(data: tuple[Path, list[Any]]) -> None:
    folder, listeners = data
    quality = read(folder, f"{MADE}/quality.json")
    for table in ("plays", "users"):
        rows = quality[table]
        assert rows["rows_in"] == rows["rows_out"] + sum(rows["dropped"].values())
    fifth, third = -(-len(listeners) // 5), -(-len(listeners) // 3)
    assert quality["plays"]["dropped"] == {
        "no_user_id": 1,
        "repeated": 1,
        "negative_playcount": fifth,
        "no_artist_name": fifth,
        "merged_artist": quality["plays"]["dropped"]["merged_artist"],
    }
    assert quality["plays"]["dropped"]["merged_artist"] >= len(listeners)
    assert quality["users"]["dropped"] == {"no_user_id": 1, "repeated": 1, "no_plays": 1}
    assert quality["listeners"] == {
        "rows_out": len(listeners) + 1,
        "without_country": LABELS[""] + 1,
        "without_user_row": 1,
        "without_playcounts": third,
        "with_total_scrobbles": sum(each["total"] is not None for each in listeners),
    }
    artists = quality["artists"]
    assert artists["in"] - artists["out"] >= len(listeners)
    selection = read(folder, f"{KEPT}/quality.json")["listeners"]
    everybody = sum(selection["rows_out"].values()) + sum(selection["dropped"].values())
    assert selection["rows_in"] == len(listeners) + 1 == everybody
    assert selection["unknown_labels"] == {"Atlantis": 5}


def test_manifests_name_inputs_outputs_and_code(data: tuple[Path, list[Any]]) -> None:
    folder, _ = data
    made, kept = (read(folder, f"{run}/manifest.json") for run in (MADE, KEPT))
    raw = [path for path in (folder / "raw/first").rglob("*") if path.is_file()]
    assert made["inputs"] == {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in raw
        if not path.name.startswith(".")  # checksums that Hadoop keeps on a disk
    }
    assert kept["inputs"] == made["inputs"]
    assert re.fullmatch("[0-9a-f]{12}", made["versions"]["code"])
    assert kept["versions"]["code"] == made["versions"]["code"]
    plays = read(folder, f"{MADE}/quality.json")["plays"]
    assert kept["rows"] == {"in": plays["rows_in"], "out": plays["rows_out"]}
    for manifest, run in ((made, MADE), (kept, KEPT)):
        for table, rows in manifest["outputs"].items():
            assert ds.dataset(folder / run / table).count_rows() == rows


def test_manifest_names_what_was_kept(data: tuple[Path, list[Any]]) -> None:
    folder, _ = data
    manifest = read(folder, f"{KEPT}/manifest.json")
    assert read(folder, "country/features/latest.json") == {"run": "jr_features"}
    assert (manifest["embeddings_run"], manifest["batch"]) == ("wr_1", "first")
    assert {
        code: sum(entry[s] for s in ("train", "validation", "test"))
        for code, entry in manifest["countries"].items()
    } == {"US": 190, "DE": 130, "KR": 80}
    assert [(r["slug"], r["countries"]) for r in manifest["regions"]] == [
        ("east-asia", ["KR"]),
        ("dach", ["DE"]),
        ("anglo-am", ["US"]),
    ]
    assert [entry["country"] for entry in manifest["dropped_countries"]] == ["MK"]
    assert manifest["synthetic"] is False


def test_splits_are_those_of_the_hash(data: tuple[Path, list[Any]]) -> None:
    def by_hash(user_id: str) -> str:
        place = int(hashlib.sha256(f"music-country:{user_id}".encode()).hexdigest()[:8], 16) % 1000
        return "train" if place < 800 else "validation" if place < 900 else "test"

    rows = listener_rows(data[0])
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    assert all(row["split"] == by_hash(row["user_id"]) for row in rows)


def test_features_equal_those_of_the_endpoint(data: tuple[Path, list[Any]]) -> None:
    folder, listeners = data
    manifest = read(folder, f"{KEPT}/manifest.json")
    layout = FeatureLayout.from_json(manifest["layout"])
    table = read_artist_table(folder / KEPT / "artists", manifest)
    by_user = {row["user_id"]: row for row in listener_rows(folder)}
    compared = 0
    for listener in listeners:
        row = by_user.get(listener["user"])
        if row is None or row["split"] != "test":
            continue
        artists, counts = listener["plays"]
        raw = RawListener(
            artists[:-1] if counts[-1] == "-999" else artists,
            [
                None if count in {None, "n/a"} else float(count)
                for count in (counts[:-1] if counts[-1] == "-999" else counts)
            ],
            total_scrobbles=listener["total"],
        )
        mine = listener_features(ListenerBatch.from_raw([raw], table), table, layout)[0]
        np.testing.assert_allclose(row["features"], mine, rtol=1e-4, atol=1e-5)
        compared += 1
    assert compared > 20


def test_only_test_listeners_get_features_of_the_fit_on_all_folds(
    data: tuple[Path, list[Any]],
) -> None:
    folder, _ = data
    manifest = read(folder, f"{KEPT}/manifest.json")
    layout = FeatureLayout.from_json(manifest["layout"])
    table = read_artist_table(folder / KEPT / "artists", manifest)
    plays = ds.dataset(folder / MADE / "listeners").to_table().to_pylist()
    by_user = {row["user_id"]: row for row in plays}
    differ = []
    for row in listener_rows(folder):
        cleaned = by_user[row["user_id"]]
        raw = RawListener(
            cleaned["artist_keys"],
            cleaned["playcounts"],
            total_scrobbles=cleaned["total_scrobbles"],
        )
        full = listener_features(ListenerBatch.from_raw([raw], table), table, layout)[0]
        same = np.allclose(row["features"], full, rtol=1e-4, atol=1e-5, equal_nan=True)
        if row["split"] == "test":
            assert same, row["user_id"]
        else:
            differ.append(not same)
    assert np.mean(differ) > 0.99


def test_plays_of_the_test_split_are_kept(data: tuple[Path, list[Any]]) -> None:
    folder, _ = data
    rows = ds.dataset(folder / KEPT / "plays/split=test").to_table().to_pylist()
    tested = {r["user_id"]: r["country"] for r in listener_rows(folder) if r["split"] == "test"}
    assert {row["user_id"]: row["country"] for row in rows} == tested
    assert set(rows[0]) == {"user_id", "country", "total_scrobbles", "artist_keys", "playcounts"}


def test_the_same_batch_gives_the_same_features(
    data: tuple[Path, list[Any]], run_glue: RunGlue
) -> None:
    folder, _ = data
    again = ("--embeddings_run", "wr_1", "--JOB_RUN_ID", "jr_again", "--folds", "2")
    ended = run_glue("glue_jobs/country/features.py", "--data_uri", f"{folder.as_uri()}/", *again)
    assert ended.returncode == 0, ended.stderr[-3000:]
    for old, new in zip(listener_rows(folder), listener_rows(folder, "jr_again"), strict=True):
        assert repr(old) == repr(new)  # equal bits, NaN included


def test_what_a_killed_run_left_is_never_read_and_its_rerun_is_whole(
    data: tuple[Path, list[Any]], run_glue: RunGlue
) -> None:
    folder, _ = data
    tables = folder / "country" / "embeddings"
    shutil.copytree(tables / "wr_1" / "listeners", tables / "wr_killed" / "listeners")
    for part in (tables / "wr_killed" / "listeners").glob("part-*"):
        part.with_name(f"part-half-{part.name}").write_bytes(part.read_bytes()[:100])
    workflow = ("--WORKFLOW_NAME", "w", "--WORKFLOW_RUN_ID", "wr_killed")
    refused = job(run_glue, "features", folder, *workflow, "--JOB_RUN_ID", "jr_killed")
    assert refused.returncode == 1
    assert "was not finished" in refused.stderr.strip().splitlines()[-1]
    assert not (folder / "country" / "features" / "jr_killed" / "manifest.json").exists()
    assert read(tables, "latest.json")["run"] != "wr_killed"

    again = job(run_glue, "embeddings", folder, *workflow, "--dimensions", "6")
    assert again.returncode == 0, again.stderr[-3000:]
    for table in ("listeners", "artists"):
        old, new = (
            ds.dataset(tables / run / table).to_table().to_pylist() for run in ("wr_1", "wr_killed")
        )
        assert repr(old) == repr(new)
    manifests = [read(tables, f"{run}/manifest.json") for run in ("wr_1", "wr_killed")]
    assert manifests[0] | {"run": "wr_killed"} == manifests[1]


def test_a_batch_that_is_not_there_is_the_last_thing_said(
    tmp_path: Path, run_glue: RunGlue
) -> None:
    ended = job(run_glue, "embeddings", tmp_path)
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert "raw/: no batch with users and top_artists and a _READY file; upload " in last
    assert not (tmp_path / "country").exists()


def listener_rows(folder: Path, run: str = "jr_features") -> list[dict[str, Any]]:
    listeners = ds.dataset(folder / "country" / "features" / run / "listeners", partitioning="hive")
    return sorted(listeners.to_table().to_pylist(), key=lambda row: row["user_id"])
