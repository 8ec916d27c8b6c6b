"""Reading sessions: whole, in order, whatever the files, and the moments within them."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from listening.errors import DataError, LayoutError
from listening.sessions.forecast import root
from listening.sessions.moments import MOMENT_FEATURES, WITHIN, within
from listening.sessions.state import FEATURES, SUMMARY
from sessions.data import FORMAT_VERSION, FeaturesManifest, Sessions, joined, moments, read_sessions

TYPES = {
    "user_id": pa.string(),
    "number": pa.int32(),
    "start": pa.float64(),
    "length": pa.float64(),
    "plays": pa.int32(),
    "skips": pa.int32(),
    "top_artist": pa.string(),
    "elapsed": pa.list_(pa.float32()),
    "skipped": pa.list_(pa.bool_()),
    "features": pa.list_(pa.float32()),
    "summary": pa.list_(pa.float32()),
}
USERS = ("émile", "anna", "Zoë", "bert")


def session(user: str, number: int) -> dict:
    rng = np.random.default_rng([USERS.index(user), number])
    plays = int(rng.choice([1, 2, 3, 8, 12]))
    elapsed = np.float32(np.cumsum(rng.integers(5, 300, plays)))
    skipped = rng.random(plays) < 0.3
    features = rng.normal(size=len(FEATURES)).astype(np.float32)
    features[rng.random(len(FEATURES)) < 0.2] = np.nan
    summary = np.full(len(SUMMARY), np.nan if number == 0 else number, np.float32)
    return {
        "user_id": user,
        "number": number,
        "start": 1e9 + 1e5 * number,
        "length": float(elapsed[-1]),
        "plays": plays,
        "skips": int(skipped.sum()),
        "top_artist": None,
        "elapsed": elapsed.tolist(),
        "skipped": skipped.tolist(),
        "features": features.tolist(),
        "summary": summary.tolist(),
    }


ROWS = [session(user, number) for user in sorted(USERS) for number in range(9)]
"""In order of listener and time."""


def write(folder, rows, *, files=1, types=None):
    folder.mkdir(parents=True)
    types = TYPES | (types or {})
    for part in range(files):
        own = rows[part::files]
        table = {name: pa.array([row[name] for row in own], types[name]) for name in types}
        pq.write_table(pa.table(table), folder / f"part-{part}.parquet")
    (folder / "_SUCCESS").touch()
    return folder


def assert_same(one: Sessions, other: Sessions) -> None:
    for field in fields(Sessions):
        np.testing.assert_array_equal(
            getattr(one, field.name), getattr(other, field.name), err_msg=field.name
        )


def assert_holds(found: Sessions, rows) -> None:
    assert len(found) == len(rows)
    for place, row in enumerate(rows):
        assert found.user_ids[found.listener[place]] == row["user_id"]
        for name in ("number", "start", "length", "plays"):
            assert getattr(found, name)[place] == row[name]
        for name in ("features", "summary"):
            np.testing.assert_array_equal(getattr(found, name)[place], np.float32(row[name]))
        own = slice(found.first[place], found.first[place + 1])
        assert found.elapsed[own].tolist() == row["elapsed"]
        assert found.skipped[own].tolist() == row["skipped"]
    assert found.first[-1] == len(found.elapsed) == len(found.skipped)


@pytest.mark.parametrize("files", [1, 3, len(ROWS)])
def test_sessions_are_in_order_whatever_the_files(tmp_path, files):
    shuffled = [ROWS[i] for i in np.random.default_rng(files).permutation(len(ROWS))]
    found = read_sessions(write(tmp_path / "train", shuffled, files=files))
    assert_holds(found, ROWS)
    assert found.user_ids.tolist() == sorted(USERS)
    assert np.isnan(found.features).any()
    assert np.isnan(found.summary[found.number == 0]).all()
    np.testing.assert_allclose(found.roots**2 * 3_600, found.length)


def test_the_sessions_of_splits_are_joined_with_their_plays(tmp_path):
    split = {"train": range(5), "validation": range(5, 7), "test": range(7, 9)}
    parts = []
    for name, numbers in split.items():
        rows = [row for row in ROWS if row["number"] in numbers]
        rows = [row for row in rows if (row["user_id"], name) != ("anna", "validation")]
        parts.append(read_sessions(write(tmp_path / name, rows[::-1], files=2)))
    kept = [row for row in ROWS if row["user_id"] != "anna" or row["number"] not in (5, 6)]
    assert_holds(joined(parts), kept)
    assert_same(joined(parts), joined(parts[::-1]))


def test_one_split_joined_is_itself(tmp_path):
    found = read_sessions(write(tmp_path / "train", ROWS))
    assert_same(joined([found]), found)


def test_listeners_held_out_stand_among_the_others(tmp_path):
    own = {"held_out": ("bert",), "train": ("anna", "émile", "Zoë")}
    parts = [
        read_sessions(write(tmp_path / name, [row for row in ROWS if row["user_id"] in users]))
        for name, users in own.items()
    ]
    assert_same(joined(parts), read_sessions(write(tmp_path / "all", ROWS)))


def test_moments_are_those_after_plays_that_were_heard(tmp_path):
    sessions = read_sessions(write(tmp_path / "train", ROWS))
    found = moments(sessions, (8, 1, 2))
    expected = [
        (place, play)
        for place, row in enumerate(ROWS)
        for play in (1, 2, 8)
        if play <= row["plays"]
    ]
    assert list(zip(found.session, found.play, strict=True)) == expected
    assert found.features.shape == (len(expected), len(MOMENT_FEATURES))
    assert found.features.dtype == np.float32
    for (place, play), remaining, features in zip(
        expected, found.remaining, found.features, strict=True
    ):
        row = ROWS[place]
        elapsed, skips = row["elapsed"][play - 1], sum(row["skipped"][:play])
        assert remaining == pytest.approx(row["length"] - elapsed)
        np.testing.assert_array_equal(features[: -len(WITHIN)], np.float32(row["features"]))
        (told,) = within([elapsed], [play], [skips])
        np.testing.assert_array_equal(features[-len(WITHIN) :], told)
    last = found.play == sessions.plays[found.session]
    assert (found.remaining[last] == 0).all()
    assert (found.remaining[~last] > 0).all()
    elapsed = [ROWS[place]["elapsed"][play - 1] for place, play in expected]
    np.testing.assert_allclose(found.elapsed, elapsed, rtol=1e-5)
    length = sessions.length[found.session]
    np.testing.assert_allclose(found.gains + root(elapsed), root(length), rtol=1e-5)


def test_some_of_the_moments_are_those_alone(tmp_path):
    found = moments(read_sessions(write(tmp_path / "train", ROWS)), (1, 2, 8))
    rows = np.flatnonzero(found.play == 2)[::-1]
    some = found.take(rows)
    for field in fields(found):
        own = getattr(found, field.name)[rows]
        np.testing.assert_array_equal(getattr(some, field.name), own)


def test_what_rounding_leaves_beyond_the_end_is_none(tmp_path):
    row = ROWS[0] | {"length": 4_000.0001, "plays": 1, "elapsed": [4_000.0002], "skipped": [False]}
    sessions = read_sessions(write(tmp_path / "train", [row]))
    assert sessions.elapsed[0] > row["length"]
    assert moments(sessions, (1,)).remaining.tolist() == [0.0]


def test_sessions_shorter_than_asked_for_have_no_moment(tmp_path):
    sessions = read_sessions(write(tmp_path / "train", ROWS))
    found = moments(sessions, (1_000,))
    assert len(found.session) == len(found.remaining) == len(found.features) == 0


def test_a_split_without_sessions_is_read(tmp_path):
    found = read_sessions(write(tmp_path / "train", []))
    assert len(found) == 0
    assert found.first.tolist() == [0]
    assert found.features.shape == (0, len(FEATURES))


def test_a_table_of_something_else_is_refused(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    pq.write_table(pa.table({"user_id": ["a"], "country": ["SE"]}), folder / "part-0.parquet")
    with pytest.raises(DataError, match="train: not sessions of the job session_features"):
        read_sessions(folder)


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "part-0.parquet").write_bytes(b"parquet")
    with pytest.raises(DataError, match="not sessions of the job session_features"):
        read_sessions(tmp_path)


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(DataError, match="not sessions of the job session_features"):
        read_sessions(tmp_path)


@pytest.mark.parametrize("damage", ["no folder", "damaged pages"])
def test_what_cannot_be_read_is_refused(tmp_path, damage):
    folder = tmp_path / "train"
    if damage == "damaged pages":
        path = write(folder, ROWS) / "part-0.parquet"
        content = bytearray(path.read_bytes())
        content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)  # the footer is whole
        path.write_bytes(content)
    with pytest.raises(DataError, match="train"):
        read_sessions(folder)


@pytest.mark.parametrize("name", ["features", "summary"])
def test_features_of_another_width_are_refused(tmp_path, name):
    rows = [row | {name: row[name][:-1]} for row in ROWS]
    with pytest.raises(DataError, match="another width than .*; run jobs and training anew"):
        read_sessions(write(tmp_path / "train", rows))


DOCUMENT = {
    "format_version": FORMAT_VERSION,
    "run": "jr_1",
    "synthetic": True,
    "features": list(FEATURES),
    "parameters": {"gap_s": 1_200.0},
}


def manifest(folder, **change):
    (folder / "manifest.json").write_text(json.dumps(DOCUMENT | change))
    return FeaturesManifest.read(folder)


def test_a_manifest_says_what_it_is_of(tmp_path):
    found = manifest(tmp_path)
    assert (found.run, found.synthetic, found.gap_s) == ("jr_1", True, 1_200.0)
    assert found.document == DOCUMENT


def test_other_features_are_refused(tmp_path):
    with pytest.raises(LayoutError, match=r"manifest\.json: other features than this image"):
        manifest(tmp_path, features=[*FEATURES[1:], FEATURES[0]])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format_version": 99}, "format version 99, this image reads"),
        ({"parameters": {}}, "not a features manifest"),
        ({"parameters": None}, "not a features manifest"),
        ({"parameters": {"gap_s": "long"}}, "not a features manifest"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, change, told):
    with pytest.raises(DataError, match=rf"manifest\.json: {told}"):
        manifest(tmp_path, **change)


def test_a_run_that_was_not_finished_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.json: missing, so .* was not finished"):
        FeaturesManifest.read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\ufffd"])
def test_a_manifest_that_is_no_object_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="not a features manifest"):
        FeaturesManifest.read(tmp_path)
