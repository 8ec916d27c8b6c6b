"""Assembling: the bundle, what is found out about it, and that all of it is reproducible."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sagemaker.core.shapes.model_card_shapes import ModelCardContent

import entry
from country.features import FeaturesManifest, read_listeners, read_plays
from listening.archive import pack
from listening.country import bundle
from listening.country.listeners import listener_features
from listening.country.predictor import ChainPredictor
from listening.errors import DataError

from ..conftest import COUNTRIES, make_job, train_all

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def assembled(features_run, trained) -> Path:
    """Assemble the trained models."""
    entry.run(make_job("assemble", features_run, trained / "assemble"))
    return trained / "assemble"


@pytest.fixture(scope="module")
def evaluation(assembled) -> dict:
    """Return the evaluation's JSON."""
    return json.loads((assembled / "output" / "evaluation.json").read_text("utf-8"))


def test_the_bundle_is_what_was_judged(assembled, evaluation, features_run):
    loaded = bundle.load(assembled / "model")
    assert isinstance(loaded, bundle.Bundle)
    assert loaded.version == evaluation["bundle_version"]
    assert loaded.synthetic
    assert evaluation["synthetic"]
    predictor = ChainPredictor(loaded)
    plays = read_plays(features_run / "plays")
    batch = plays.batch(loaded.artists)
    features = listener_features(batch, loaded.artists, loaded.layout)
    top = predictor.top_k(features, 5).countries
    true = [predictor.chain.countries.index(c) for c in plays.countries.tolist()]
    top5 = (top == np.array(true)[:, None]).any(axis=1).mean()
    assert top5 == pytest.approx(evaluation["metrics"]["top5"], abs=1e-9)


def test_the_bundles_artists_are_indexed_for_the_page(assembled):
    root = json.loads((assembled / "output" / "artist_index" / "index.json").read_text("utf-8"))
    assert root["size"] == bundle.load(assembled / "model").artists.size
    assert root["artists"]


def test_plays_and_features_are_of_the_same_listeners(assembled, features_run):
    loaded = bundle.load(assembled / "model")
    manifest = FeaturesManifest.read(features_run)
    listeners = read_listeners(features_run / "listeners" / "split=test", manifest.layout)
    plays = read_plays(features_run / "plays")
    assert listeners.user_ids.tolist() == plays.user_ids.tolist()
    again = listener_features(plays.batch(loaded.artists), loaded.artists, loaded.layout)
    np.testing.assert_allclose(again, listeners.features, rtol=1e-5, atol=1e-5)


def test_every_model_is_judged_beside_the_chain(evaluation):
    assert set(evaluation["models"]) == {"chain", "flat", "logistic_regression", "prior"}
    assert set(evaluation["differences"]) == {"flat", "logistic_regression", "prior"}
    for metrics in evaluation["models"].values():
        for interval in metrics.values():
            if "low" in interval:
                assert interval["low"] <= interval["value"] <= interval["high"]
    assert evaluation["differences"]["prior"]["log_loss"]["high"] < 0
    assert evaluation["gate"]["decision"] == "Approved"
    assert "there is no champion yet" in evaluation["gate"]["reasons"]


def test_the_tables_hold_every_region_and_country(evaluation):
    assert [row["country"] for row in evaluation["by_country"]] == list(COUNTRIES)
    for split, rows in evaluation["regions"].items():
        assert sum(row["listeners"] for row in rows) == evaluation["listeners"][split]
        assert sum(row["predicted"] for row in rows) == evaluation["listeners"][split]
    lone = next(row for row in evaluation["country_models"] if row["region"] == "antarctica")
    assert lone["effective_classes"] == 1
    assert lone["splits"]["test"]["accuracy"] == 1
    counts = np.array(evaluation["region_confusion"]["counts"])
    assert counts.sum() == evaluation["listeners"]["test"]
    assert [point["power"] for point in evaluation["prior_powers"]][:2] == [0.0, 0.1]


def test_the_model_card_names_bundle_and_limits(assembled, evaluation):
    for folder in ("output", "model"):
        card = json.loads((assembled / folder / "model_card.json").read_text("utf-8"))
        ModelCardContent.model_validate(card)
        details = card["additional_information"]["custom_details"]
        assert details["bundle_version"] == evaluation["bundle_version"]
        assert "SYNTHETIC" in card["model_overview"]["model_description"]
        assert "Antarctica" in card["additional_information"]["caveats_and_recommendations"]
        assert details["lightgbm"]
        assert max(map(len, details.values())) <= 1024


def test_the_same_inputs_and_seed_give_the_same_version(
    features_run, trained, evaluation, tmp_path
):
    train_all(features_run, tmp_path, max_rounds="60")
    job = make_job("assemble", features_run, tmp_path / "assemble")
    entry.run(replace(job, num_threads=1))
    again = json.loads((job.output_folder / "evaluation.json").read_text("utf-8"))
    assert again == evaluation


def test_the_same_features_of_another_run_give_the_same_version(
    features_run, trained, evaluation, tmp_path
):
    again = tmp_path / "features"
    shutil.copytree(features_run, again)
    (file,) = again.rglob("manifest.json")
    manifest = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(manifest | {"run": "jr_again", "embeddings_run": "wr_again"}))
    train_all(again, tmp_path / "training", max_rounds="60")
    job = make_job("assemble", again, tmp_path / "training" / "assemble")
    entry.run(job)
    loaded = bundle.load(job.model_folder)
    assert loaded.version == evaluation["bundle_version"]
    assert loaded.archive.created_from["features_run"] == "jr_again"


def test_the_evaluation_tells_how_answers_are_spread(features_run, assembled, evaluation):
    loaded = bundle.load(assembled / "model")
    plays = read_plays(features_run / "plays").batch(loaded.artists)
    answers = evaluation["answers"]
    listeners = evaluation["listeners"]["test"]
    assert {sum(counts.values()) for counts in answers.values()} == {listeners}
    lengths = Counter(map(str, (plays.known + plays.unknown).tolist()))
    assert answers["list_length"] == lengths
    assert set(answers["country"]) <= set(COUNTRIES)
    assert all(0 < float(share) <= 1 for share in answers["confidence"])


def test_another_seed_gives_another_version(features_run, evaluation, tmp_path):
    train_all(features_run, tmp_path, max_rounds="60", seed="2")
    job = make_job("assemble", features_run, tmp_path / "assemble")
    entry.run(job)
    assert bundle.load(job.model_folder).version != evaluation["bundle_version"]


def test_a_bundle_worse_than_the_champion_is_refused(features_run, assembled, tmp_path):
    # Without the affinities to start from and with one timid round, it hardly beats the prior.
    train_all(features_run, tmp_path, max_rounds="1", learning_rate="0.01", base="")
    pack(assembled / "model", tmp_path / "champion" / "bundle.tar.gz")
    job = make_job("assemble", features_run, tmp_path / "assemble")
    entry.run(job)
    found = json.loads((job.output_folder / "evaluation.json").read_text("utf-8"))
    assert found["gate"]["decision"] == "Rejected"
    assert any("worse than champion" in reason for reason in found["gate"]["reasons"])
    assert found["champion"]["differences"]["log_loss"]["low"] > 0


def test_a_champion_is_not_worse_than_itself(features_run, trained, assembled, tmp_path):
    pack(assembled / "model", tmp_path / "champion" / "bundle.tar.gz")
    job = make_job("assemble", features_run, tmp_path / "assemble")
    channels = {**job.channels, "models": trained / "models"}
    entry.run(replace(job, channels=channels))
    found = json.loads((job.output_folder / "evaluation.json").read_text("utf-8"))
    assert found["gate"]["decision"] == "Approved"
    assert found["champion"]["differences"]["log_loss"]["value"] == pytest.approx(0, abs=1e-6)
    assert set(found["champion"]["metrics"]) == {"chain", "champion"}
    report = (job.output_folder / "report.html").read_text("utf-8")
    assert f"Champion <code>{found['champion']['version']}</code>" in report


def test_plays_of_other_listeners_are_refused(features_run, trained, tmp_path):
    job = make_job("assemble", features_run, tmp_path / "assemble")
    channels = {**job.channels, "models": trained / "models", "champion": trained / "champion"}
    channels["test"] = channels["validation"]
    with pytest.raises(DataError, match="'test' and 'plays' hold different listeners"):
        entry.run(replace(job, channels=channels))
