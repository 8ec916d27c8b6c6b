"""A small features run as the Glue job `features` writes it, and jobs that train on it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "sagemaker"))

import entry  # noqa: E402
from country import evaluation  # noqa: E402
from job import Job  # noqa: E402
from listening import archive as archives  # noqa: E402
from listening.country.artist_table import ArtistTable  # noqa: E402
from listening.country.layout import Block, FeatureLayout  # noqa: E402
from listening.country.listeners import ListenerBatch, listener_features  # noqa: E402
from listening.country.splits import SPLITS  # noqa: E402
from listening.regions import RegionTable  # noqa: E402

evaluation.BOOTSTRAP_DRAWS = 100  # enough for what is asserted, and a tenth of the time

REGIONS = RegionTable.from_json(
    {
        "regions": [
            {"slug": "nordics", "name": "Nordics", "countries": ["FI", "NO", "SE"]},
            {"slug": "dach", "name": "Western Core", "countries": ["AT", "DE"]},
            {"slug": "latin", "name": "Latin America", "countries": ["AR", "BR", "MX"]},
            {"slug": "antarctica", "name": "Antarctica", "countries": ["AQ"]},
        ]
    }
)
LISTENERS = {"FI": 90, "NO": 70, "SE": 200, "AT": 80, "DE": 300} | {
    "AR": 90, "BR": 240, "MX": 130, "AQ": 50
}  # fmt: skip
COUNTRIES = tuple(REGIONS.region_of)
ARTISTS = 120


def write_features_run(folder: Path, *, run: str = "jr_1", seed: int = 5) -> None:
    """Write manifest, artists, listeners and test plays of generated listeners."""
    rng = np.random.default_rng(seed)
    region_of = list(REGIONS.region_of.values())
    slugs = [region.slug for region in REGIONS.regions]
    popularity = 1 / np.arange(1, ARTISTS + 1) ** 0.7
    by_region = {slug: rng.gamma(0.4, size=ARTISTS) for slug in slugs}
    taste = np.array(
        [
            popularity * (0.15 + by_region[slug] + 0.8 * rng.gamma(0.3, size=ARTISTS))
            for slug in region_of
        ]
    )
    taste /= taste.sum(axis=1, keepdims=True)
    country = np.repeat(np.arange(len(COUNTRIES)), [LISTENERS[c] for c in COUNTRIES])
    ids = [f"user_{i:05d}" for i in range(len(country))]
    splits = np.random.default_rng(0).choice(SPLITS, len(ids), p=(0.8, 0.1, 0.1))
    lists = [
        rng.choice(ARTISTS, size=rng.integers(5, 25), replace=False, p=taste[c]) for c in country
    ]
    plays = [np.sort(rng.geometric(0.01, len(artists)))[::-1] for artists in lists]

    heard = np.zeros((len(COUNTRIES), ARTISTS))
    for c, artists, split in zip(country, lists, splits, strict=True):
        if split == "train":
            heard[c, artists] += 1
    share = (heard + 2 * heard.sum(axis=0) / heard.sum()) / (heard.sum(axis=1, keepdims=True) + 2)
    lift = np.log(share / (heard.sum(axis=0) + 0.5) * heard.sum()).T
    prior = heard.sum(axis=1) / heard.sum()
    layout = FeatureLayout(
        (
            Block("vector", 6),
            Block("affinity", len(COUNTRIES), COUNTRIES),
            Block("region_affinity", len(slugs), tuple(slugs)),
            Block("log_total_scrobbles", 1),
            Block("log_list_length", 1),
        )
    )
    starts = np.cumsum([0, *(len(r.countries) for r in REGIONS.regions)])[:-1]
    columns = {
        "keys": [f"artist {i}" for i in range(ARTISTS)],
        "names": [f"Artist {i}" for i in range(ARTISTS)],
        "mbids": [None] * ARTISTS,
        "listeners": heard.sum(axis=0).astype(np.int32),
        "salience": np.ones(ARTISTS, dtype=np.float32),
        "matrix": np.hstack([rng.normal(size=(ARTISTS, 6)), 0.25 * lift]).astype(np.float32),
    }
    constants = {"affinity_bias": np.log(prior).tolist(), "region_starts": starts.tolist()}
    table = ArtistTable.build(**columns, **constants)
    batch = ListenerBatch(
        np.concatenate([[0], np.cumsum([len(artists) for artists in lists])]),
        np.concatenate(lists).astype(np.int32),
        np.concatenate(plays).astype(np.float32),
        np.array([3.0 * p.sum() for p in plays], dtype=np.float32),
    )
    features = listener_features(batch, table, layout)
    codes = np.array(COUNTRIES)[country]

    _write(
        folder / "artists" / "part-00000.parquet",
        {
            "artist_id": np.arange(ARTISTS),
            "artist_key": columns["keys"],
            "artist_name": columns["names"],
            "mbid": pa.nulls(ARTISTS, pa.string()),
            "listeners": columns["listeners"],
            "salience": columns["salience"],
            "matrix": list(columns["matrix"]),
        },
    )
    for split in SPLITS:
        for region in REGIONS.regions:
            rows = np.flatnonzero((splits == split) & np.isin(codes, region.countries))
            for part, chosen in enumerate(np.array_split(rng.permutation(rows), 2)):
                place = folder / "listeners" / f"split={split}" / f"region={region.slug}"
                _write(
                    place / f"part-{part:05d}.parquet",
                    {
                        "user_id": [ids[i] for i in chosen],
                        "country": codes[chosen],
                        "features": pa.array(list(features[chosen]), pa.list_(pa.float32())),
                    },
                )
    rows = np.flatnonzero(splits == "test")
    _write(
        folder / "plays" / "split=test" / "part-00000.parquet",
        {
            "user_id": [ids[i] for i in rows],
            "country": codes[rows],
            "total_scrobbles": [float(3 * plays[i].sum()) for i in rows],
            "artist_keys": [[f"artist {a}" for a in lists[i]] for i in rows],
            "playcounts": [plays[i].astype(float).tolist() for i in rows],
        },
    )

    def counts(rows):
        return {split: int((splits[rows] == split).sum()) for split in np.unique(splits).tolist()}

    manifest = {
        "format_version": 1,
        "run": run,
        "embeddings_run": "wr_1",
        "batch": "sample",
        "rows": {"in": 100, "out": 90},
        "layout": layout.to_json(),
        "artist_constants": constants,
        "regions": [
            entry | {"listeners": counts(np.isin(codes, entry["countries"]))}
            for entry in REGIONS.to_json()["regions"]
        ],
        "countries": {c: {"name": f"Country {c}", **counts(codes == c)} for c in COUNTRIES},
        "dropped_countries": [],
        "folds": 3,
        "salt": "music-country",
        "seed": seed,
        "parameters": {},
        "versions": {},
        "synthetic": True,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def _write(path: Path, columns: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


@pytest.fixture(scope="session")
def features_run(tmp_path_factory) -> Path:
    """Write a features run into a folder."""
    folder = tmp_path_factory.mktemp("features")
    write_features_run(folder)
    return folder


def make_job(task: str, features: Path, folder: Path, *, region: str = "", **hyperparameters):
    """Return a job of this process with the channels that the state machine gives it."""

    def split(name: str) -> Path:
        place = features / "listeners" / f"split={name}"
        return place / f"region={region}" if region else place

    manifest = folder / "manifest-channel"
    manifest.mkdir(parents=True, exist_ok=True)
    (manifest / "manifest.json").write_bytes((features / "manifest.json").read_bytes())
    channels = {"features": manifest, "train": split("train"), "validation": split("validation")}
    if task == "assemble":
        channels |= {
            "artists": features / "artists",
            "test": split("test"),
            "plays": features / "plays" / "split=test",
            "models": folder.parent / "models",
            "champion": folder.parent / "champion",
        }
    for name in ("model", "output"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return Job(
        hyperparameters={
            "task": f"country.{task}",
            **({"item": region} if region else {}),
            **hyperparameters,
        },
        channels=channels,
        model_folder=folder / "model",
        output_folder=folder / "output",
        num_threads=2,
    )


def train_all(features: Path, folder: Path, **hyperparameters) -> None:
    """Train every model of a run into ``folder/models`` and put the prior as champion."""
    tasks = [("region", ""), ("flat", ""), *(("country", r.slug) for r in REGIONS.regions)]
    for task, region in tasks:
        name = region or task
        job = make_job(task, features, folder / name, region=region, **hyperparameters)
        entry.run(job)
        archive = folder / "models" / f"{name}-0123" / "output" / "model.tar.gz"
        archives.pack(job.model_folder, archive)
    prior = folder / "prior"
    archives.write_prior(prior, system="country")
    archives.pack(prior, folder / "champion" / "bundle.tar.gz")


@pytest.fixture(scope="session")
def trained(features_run, tmp_path_factory) -> Path:
    """Train every model of the features run."""
    folder = tmp_path_factory.mktemp("trained")
    train_all(features_run, folder, max_rounds="60")
    return folder
