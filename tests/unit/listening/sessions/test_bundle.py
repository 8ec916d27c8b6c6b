"""A bundle is read as it was written, or refused by one that names the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from listening.archive import ArchiveWriter, load
from listening.archive.hashes import content_version
from listening.errors import ArchiveError
from listening.sessions.bundle import (
    BUNDLE,
    COLUMNS,
    MODEL,
    REMAINING,
    START,
    Parts,
    QuantileModel,
    QuantileTrees,
    SessionsBundle,
)
from listening.sessions.clusters import Clusters
from listening.sessions.forecast import LEVELS, PRIOR, remaining_seconds, seconds
from listening.sessions.moments import MOMENT_FEATURES
from listening.sessions.state import FEATURES, SUMMARY
from listening.trees import portable

ROWS = 300
CLUSTER = 2
"""The only one that has a model of its own."""


def features(width: int, seed: int = 0, n: int = ROWS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, width)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def trees(width: int, *, centre: float = 0.0, scale: float = 1.0, seed: int = 0) -> QuantileTrees:
    rows = features(width, seed)
    roots = np.nan_to_num(rows[:, 0]) ** 2 + np.random.default_rng(seed).gamma(1.0, size=ROWS)
    texts = []
    for level in LEVELS:
        booster = lightgbm.train(
            {
                "objective": "quantile",
                "alpha": level,
                "num_leaves": 5,
                "num_threads": 1,
                "verbosity": -1,
                "seed": seed,
            },
            lightgbm.Dataset(rows, (roots - centre) / scale),
            num_boost_round=4,
        )
        texts.append(portable(booster.model_to_string()))
    offsets = tuple(float(place) / 100 for place in range(len(LEVELS)))
    return QuantileTrees(tuple(texts), centre, scale, offsets)


@pytest.fixture(scope="module")
def parts() -> Parts:
    return Parts(
        start=trees(len(FEATURES)),
        remaining=trees(len(MOMENT_FEATURES), centre=1.25, scale=2.5, seed=1),
        of_cluster={CLUSTER: trees(len(FEATURES), seed=2)},
        clusters=Clusters(
            np.zeros(len(SUMMARY)), np.ones(len(SUMMARY)), np.eye(3, len(SUMMARY)) * 3
        ),
        everyone=PRIOR,
        gap_s=1_200.0,
    )


@pytest.fixture(scope="module")
def written(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "written"
    archive = ArchiveWriter(folder)
    archive.finish(BUNDLE, parts.write(archive), synthetic=True)
    return folder


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "copy"))


@pytest.fixture(scope="module")
def bundle(written: Path) -> SessionsBundle:
    return SessionsBundle(load(written))


def change(folder: Path, **fields: Any) -> None:
    """Change an archive's content as a newer or careless writer would: the hash fits again."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["content"] |= fields
    manifest["version"] = content_version(manifest)
    path.write_text(json.dumps(manifest))


def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())["content"]
    return found


def moments(seed: int, n: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Return features of moments, and the seconds that have elapsed."""
    rows = features(len(MOMENT_FEATURES), seed, n)
    column = MOMENT_FEATURES.index("elapsed")
    rows[:, column] = np.random.default_rng(seed).uniform(0, 9, n)
    return rows, np.expm1(rows[:, column].astype(np.float64))


def by_lightgbm(model: QuantileTrees, rows: np.ndarray) -> np.ndarray:
    scores = [
        lightgbm.Booster(model_str=text).predict(rows, raw_score=True, num_threads=1)
        for text in model.texts
    ]
    return model.centre + model.scale * np.stack(scores, axis=1) + np.array(model.offsets)


def test_a_bundle_is_read_as_it_was_written(parts: Parts, bundle: SessionsBundle) -> None:
    assert bundle.gap_s == parts.gap_s
    assert bundle.everyone == parts.everyone
    assert bundle.clusters.to_json() == parts.clusters.to_json()
    assert bundle.archive.synthetic
    assert len(bundle.archive.hashes) == 3 * len(LEVELS)
    for name, own in ((START, parts.start), (REMAINING, parts.remaining)):
        assert QuantileTrees.read(bundle.archive, bundle.archive.content[name]) == own


def test_forecasts_are_those_of_the_trees(parts: Parts, bundle: SessionsBundle) -> None:
    rows, elapsed = moments(seed=5)
    found = bundle.remaining(rows)
    gain = by_lightgbm(parts.remaining, rows)
    assert np.array_equal(found, remaining_seconds(gain, elapsed))
    assert found.shape == (ROWS, len(LEVELS))
    assert len(np.unique(found[:, 4])) > 3
    rows = features(len(FEATURES), seed=5)
    own = seconds(by_lightgbm(parts.start, rows))
    assert np.array_equal(bundle.lengths(rows, [0] * ROWS), own)


def test_one_row_and_many_give_the_same_to_the_last_bit(bundle: SessionsBundle) -> None:
    rows, clusters = features(len(FEATURES), seed=6, n=60), np.arange(60) % 3
    together = bundle.lengths(rows, clusters)
    alone = [bundle.lengths(rows[i : i + 1], clusters[i : i + 1])[0] for i in range(60)]
    assert np.array_equal(together, alone)
    rows, _ = moments(seed=6, n=60)
    alone = [bundle.remaining(rows[i : i + 1])[0] for i in range(60)]
    assert np.array_equal(bundle.remaining(rows), alone)


def test_a_clusters_model_is_asked_for_its_cluster_only(
    parts: Parts, bundle: SessionsBundle
) -> None:
    rows, clusters = features(len(FEATURES), seed=7), np.arange(ROWS) % 3
    found = bundle.lengths(rows, clusters.tolist())
    models = (parts.start, parts.of_cluster[CLUSTER])
    everyone, own = (seconds(by_lightgbm(model, rows)) for model in models)
    assert not np.array_equal(everyone, own)
    expected = np.where((clusters == CLUSTER)[:, None], own, everyone)
    assert np.array_equal(found, expected)


def test_files_are_named_by_what_they_forecast(written: Path) -> None:
    files = {path.relative_to(written).as_posix() for path in written.rglob("*.txt")}
    folders = (START, REMAINING, f"cluster-{CLUSTER}")
    assert files == {f"{folder}/{level}.txt" for folder in folders for level in LEVELS}
    assert content(written)["of_cluster"].keys() == {str(CLUSTER)}


@pytest.mark.parametrize("name", ["start/0.5.txt", "remaining/0.9.txt", "cluster-2/0.1.txt"])
def test_a_damaged_file_is_named(copy: Path, name: str) -> None:
    path = copy / name
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ArchiveError, match=f"{name}: corrupted or truncated"):
        load(copy)


def test_a_file_that_is_missing_is_named(copy: Path) -> None:
    (copy / "start" / "0.3.txt").unlink()
    with pytest.raises(ArchiveError, match=r"start/0\.3\.txt: missing"):
        load(copy)


def without(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


DAMAGE: dict[str, Any] = {
    "no gap": lambda _: {"gap_s": None},
    "a gap in words": lambda _: {"gap_s": "half an hour"},
    "nothing of everyone": lambda _: {"everyone": None},
    "no clusters": lambda _: {"clusters": {}},
    "clusters of another width": lambda c: {"clusters": c["clusters"] | {"mean": [0.0]}},
    "models of clusters in a list": lambda _: {"of_cluster": []},
    "a cluster that is no number": lambda c: {"of_cluster": {"all": c[START]}},
    "a cluster without model": lambda _: {"of_cluster": {"1": None}},
    "no model": lambda _: {START: None},
    "no files": lambda c: {START: without(c[START], "files")},
    "files that are no names": lambda c: {START: c[START] | {"files": [{}] * 9}},
    "a file too few": lambda c: {REMAINING: c[REMAINING] | {"files": c[REMAINING]["files"][:8]}},
    "an offset too few": lambda c: {REMAINING: c[REMAINING] | {"offsets": [0.0] * 8}},
    "no offsets": lambda c: {REMAINING: c[REMAINING] | {"offsets": None}},
    "a centre in words": lambda c: {REMAINING: c[REMAINING] | {"centre": "middle"}},
    "a file that nobody hashed": lambda c: {START: c[START] | {"files": ["start/0.15.txt"] * 9}},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_content_is_refused_with_the_manifests_name(copy: Path, damage: Any) -> None:
    change(copy, **damage(content(copy)))
    with pytest.raises(ArchiveError) as refused:
        SessionsBundle(load(copy))
    assert str(refused.value).startswith(f"{copy / 'manifest.json'}: ")


def test_everyone_has_as_many_quantiles_as_there_are_levels(copy: Path) -> None:
    change(copy, everyone=[60.0, 120.0])
    with pytest.raises(ArchiveError, match=r"manifest\.json"):
        SessionsBundle(load(copy))


@pytest.mark.parametrize("name", ["features", "levels"])
def test_a_bundle_of_other_features_is_refused(copy: Path, name: str) -> None:
    change(copy, **{name: content(copy)[name][:-1]})
    with pytest.raises(ArchiveError, match=r"manifest\.json: other features .*; train anew"):
        SessionsBundle(load(copy))


def test_another_kind_of_archive_is_refused(parts: Parts, tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "single")
    archive.finish(MODEL, parts.write(archive))
    with pytest.raises(ArchiveError, match=r"single: a sessions\.model, expected a sessions"):
        SessionsBundle(load(tmp_path / "single"))


def test_trees_of_another_width_are_refused(parts: Parts) -> None:
    told = f"model 'start 0.1': the trees read {len(MOMENT_FEATURES)} features"
    with pytest.raises(ArchiveError, match=told):
        QuantileModel(parts.remaining, name=START, width=len(COLUMNS[START]))


def test_a_text_that_is_no_model_is_refused(parts: Parts) -> None:
    broken = QuantileTrees(("tree",) * 9, 0.0, 1.0, parts.start.offsets)
    with pytest.raises(ArchiveError, match=r"model 'start 0\.1': not a LightGBM model"):
        QuantileModel(broken, name=START, width=len(FEATURES))
