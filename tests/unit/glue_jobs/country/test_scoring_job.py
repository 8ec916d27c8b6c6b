"""The scoring job on Spark, beside the predictor that the endpoint asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as ds
import pytest

from benchmarks.synthetic_bundle import SyntheticBundle
from listening.archive import pack, write_prior
from listening.country.bundle import Bundle, load
from listening.country.listeners import ListenerBatch, RawListener, listener_features
from listening.country.predictor import ChainPredictor
from listening.regions import default_regions

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark

MBID = "00000003-0000-4000-8000-000000000000"
"""Of artist 3 of every synthetic bundle."""


def write_raw(folder: Path, bundle: Bundle) -> dict[str, RawListener]:
    """Write a CSV of plays without countries and return its listeners."""
    rng = np.random.default_rng(2)
    listeners = {
        f"u{i}": RawListener(
            [bundle.artists.name(a) for a in rng.integers(0, bundle.artists.size, 8)] + ["who?"],
            [float(n) for n in np.sort(rng.integers(1, 900, 9))[::-1]],
        )
        for i in range(40)
    } | {
        "stranger": RawListener(["nobody knows"], [3.0], mbids=[None]),
        "by mbid": RawListener(["another spelling", "x"], [3.0, 1.0], mbids=[MBID, None]),
    }
    rows = [
        (user, rank, *play)
        for user, listener in listeners.items()
        for rank, play in enumerate(
            zip(
                listener.names,
                listener.playcounts or (),
                listener.mbids or [None] * len(listener.names),
                strict=True,
            ),
            1,
        )
    ]
    folder.mkdir(parents=True)
    names = ("user_id", "rank", "artist_name", "playcount", "mbid")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    pacsv.write_csv(pa.table(columns), folder / "top_artists.csv")
    return listeners


def run(run_glue: RunGlue, folder: Path, version: str, *more: str) -> Any:
    return run_glue(
        *("glue_jobs/country/scoring.py", "--JOB_RUN_ID", "jr_scores", "--batch", "b"),
        *("--data_uri", f"{folder.as_uri()}/data/", "--champion", version),
        *("--models_uri", f"{folder.as_uri()}/", *more),
    )


def scores(folder: Path) -> dict[str, dict[str, Any]]:
    table = ds.dataset(folder / "data/country/scoring/jr_scores/listeners").to_table()
    return {row["user_id"]: row for row in table.to_pylist()}


def test_scores_are_what_the_endpoint_answers(tmp_path: Path, run_glue: RunGlue) -> None:
    version = SyntheticBundle().write(tmp_path / "bundle")
    pack(tmp_path / "bundle", tmp_path / "endpoint/country" / version / "bundle.tar.gz")
    bundle = load(tmp_path / "bundle")
    assert isinstance(bundle, Bundle)
    listeners = write_raw(tmp_path / "data/raw/b", bundle)
    ended = run(run_glue, tmp_path, version, "--every_country", "true", "--k", "3")
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = scores(tmp_path)
    assert set(found) == set(listeners)
    predictor = ChainPredictor(bundle)
    codes = predictor.chain.countries
    assert found["by mbid"]["known_artists"] == 1
    for user, listener in listeners.items():
        batch = ListenerBatch.from_raw([listener], bundle.artists)
        row = found[user]
        assert row["known_artists"] == batch.known[0]
        assert row["unknown_artists"] == batch.unknown[0]
        assert row["bundle_version"] == version
        if user == "stranger":
            assert row["is_prior"]
            assert row["probabilities"][0] == max(bundle.prior.values())
            continue
        features = listener_features(batch, bundle.artists, bundle.layout)
        best = predictor.top_k(features, 3)
        assert row["countries"] == [codes[place] for place in best.countries[0]]
        np.testing.assert_allclose(row["probabilities"], best.probabilities[0], rtol=1e-6)
        every = [row[f"probability_{code}"] for code in codes]
        np.testing.assert_allclose(every, np.exp(predictor.log_joint(features))[0], rtol=1e-6)


def test_before_any_training_everyone_gets_the_prior(tmp_path: Path, run_glue: RunGlue) -> None:
    write_prior(tmp_path / "prior", system="country")
    regions = default_regions()
    pack(tmp_path / "prior", tmp_path / "endpoint/country/prior/bundle.tar.gz")
    raw = tmp_path / "data/raw/b"
    raw.mkdir(parents=True)
    (raw / "user_top_artists.csv").write_text("user_id,rank,artist_name\n7,1,Air\n")
    ended = run(run_glue, tmp_path, "prior")
    assert ended.returncode == 0, ended.stderr[-3000:]
    row = scores(tmp_path)["7"]
    assert row["countries"] == list(regions.region_of)[:5]
    assert row["probabilities"] == [1 / len(regions.region_of)] * 5
    assert (row["known_artists"], row["unknown_artists"], row["is_prior"]) == (0, 1, True)
    gone = run(run_glue, tmp_path, "0123456789ab")
    assert gone.returncode == 1
    assert "bundle 0123456789ab is not there" in gone.stderr.strip().splitlines()[-1]
