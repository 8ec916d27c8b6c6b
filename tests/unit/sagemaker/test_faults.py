"""What can be wrong with a training job's inputs is told in one sentence that names it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import entry
from job import Job
from listening.country import bundle
from listening.errors import (
    ArchiveError,
    DataError,
    LayoutError,
    ListeningError,
)
from listening.regions import RegionTableError

from .conftest import make_job

ONE_LISTENER = {"user_id": ["u"], "country": ["SE"], "features": [[0.0] * 21]}


@pytest.mark.parametrize(
    ("hyperparameters", "sentence"),
    [
        ({"task": "country.x"}, "'task' must be one of country.region, country.country, "),
        ({"task": "country.country"}, "'item' is missing"),
        ({"task": "country.country", "item": "atlantis"}, "no region 'atlantis'"),
        (
            {"task": "country.region", "learning_rate": "fast"},
            "'learning_rate' must be of type float",
        ),
        (
            {"task": "country.region", "learning_rate": "7"},
            "'learning_rate' is out of its range: 7",
        ),
        ({"task": "country.region", "num_leafs": "7"}, "unknown hyperparameter num_leafs"),
        ({"task": "country.region", "seed": "-1"}, "'seed' must be a whole number"),
        ({"task": "country.region", "class_weights": "log"}, "'class_weights' is out of its range"),
        ({"task": "country.assemble", "gate_metrics": "f2"}, "no metric f2"),
        ({"task": "country.assemble", "max_rounds": "3"}, "unknown hyperparameter max_rounds"),
    ],
)
def test_hyperparameters(features_run, tmp_path, hyperparameters, sentence):
    job = make_job("region", features_run, tmp_path)
    with pytest.raises(ListeningError, match=sentence):
        entry.run(replace(job, hyperparameters=hyperparameters))


def test_a_hyperparameter_of_the_judge(features_run, trained):
    job = make_job("assemble", features_run, trained / "assemble-none", gate_min_listeners="0")
    with pytest.raises(DataError, match="'gate_min_listeners' must be 1 or more, got '0'"):
        entry.run(job)


def test_channels(features_run, tmp_path):
    job = make_job("region", features_run, tmp_path)
    without = {name: folder for name, folder in job.channels.items() if name != "train"}
    with pytest.raises(DataError, match="channel 'train' is missing"):
        entry.run(replace(job, channels=without))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="channel 'train' is empty"):
        entry.run(replace(job, channels={**job.channels, "train": empty}))


@pytest.mark.parametrize(
    ("columns", "error", "sentence"),
    [
        ({"user_id": []}, DataError, "no column 'country'"),
        (
            {
                "user_id": pa.array([], pa.string()),
                "country": pa.array([], pa.string()),
                "features": pa.array([], pa.list_(pa.float32())),
            },
            DataError,
            "no listener in this split",
        ),
        (ONE_LISTENER | {"features": [[1.0, 2.0]]}, LayoutError, "have 2 features, the manifest"),
        (ONE_LISTENER | {"features": [[float("inf")] * 21]}, DataError, "NaN or infinity"),
        (ONE_LISTENER | {"country": [None]}, DataError, "'country' holds nulls"),
        (ONE_LISTENER | {"country": ["ZZ"]}, DataError, "listeners of ZZ"),
    ],
)
def test_listeners(features_run, tmp_path, columns, error, sentence):
    job = make_job("region", features_run, tmp_path)
    folder = tmp_path / "train"
    folder.mkdir()
    pq.write_table(pa.table(columns), folder / "part-0.parquet")
    with pytest.raises(error, match=sentence):
        entry.run(replace(job, channels={**job.channels, "train": folder}))


def test_a_file_that_is_no_parquet(features_run, tmp_path):
    job = make_job("region", features_run, tmp_path)
    folder = tmp_path / "train"
    folder.mkdir()
    (folder / "part-0.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match="not a readable parquet file"):
        entry.run(replace(job, channels={**job.channels, "train": folder}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format_version": 9}, "format version 9"),
        ({"layout": [{"name": "vector"}]}, "not a feature layout"),
        ({"countries": None}, "not a features manifest"),
    ],
)
def test_manifest(features_run, tmp_path, change, sentence):
    job = make_job("region", features_run, tmp_path)
    path = job.channels["features"] / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(ListeningError, match=sentence):
        entry.run(job)


def test_models_of_another_layout_are_not_assembled(features_run, trained, tmp_path):
    job = make_job("assemble", features_run, trained / "assemble-other")
    path = job.channels["features"] / "manifest.json"
    document = json.loads(path.read_text("utf-8"))
    document["layout"][0]["name"] = "lift"
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(LayoutError, match="another feature layout than features run jr_1"):
        entry.run(job)


def test_a_missing_model_is_named(features_run, trained, tmp_path):
    models = tmp_path / "models"
    shutil.copytree(trained / "models", models)
    shutil.rmtree(models / "latin-0123")
    job = make_job("assemble", features_run, tmp_path / "assemble")
    champion = {"models": models, "champion": trained / "champion"}
    with pytest.raises(DataError, match="no model 'country-latin'"):
        entry.run(replace(job, channels={**job.channels, **champion}))


def test_a_truncated_model_is_named(features_run, trained, tmp_path):
    models = tmp_path / "models"
    shutil.copytree(trained / "models", models)
    archive = models / "latin-0123" / "output" / "model.tar.gz"
    archive.write_bytes(archive.read_bytes()[:500])
    job = make_job("assemble", features_run, tmp_path / "assemble")
    champion = {"models": models, "champion": trained / "champion"}
    with pytest.raises(ArchiveError, match="not a complete .tar.gz"):
        entry.run(replace(job, channels={**job.channels, **champion}))


def test_a_script_outside_a_training_job_says_so(monkeypatch, capsys):
    monkeypatch.delenv("SM_HOSTS", raising=False)
    assert entry.main() == 1
    assert "SM_HOSTS is not set" in capsys.readouterr().err


def test_an_unknown_region_names_those_there_are(features_run, tmp_path):
    job = make_job("country", features_run, tmp_path, region="nordics")
    with pytest.raises(RegionTableError, match="nordics, dach, latin, antarctica"):
        entry.run(replace(job, hyperparameters={"task": "country.country", "item": "x"}))


def test_the_job_is_read_from_the_environment(tmp_path):
    job = Job.from_environment(
        {
            "SM_HOSTS": '["algo-2", "algo-1"]',
            "SM_CURRENT_HOST": "algo-2",
            "SM_HPS": '{"task": "country.region", "seed": 3, "_tuning_objective_metric": "x"}',
            "SM_CHANNELS": '["train"]',
            "SM_CHANNEL_TRAIN": str(tmp_path),
            "SM_MODEL_DIR": "/opt/ml/model",
            "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
            "SM_NUM_CPUS": "2",
        }
    )
    assert job.hyperparameters == {"task": "country.region", "seed": "3"}
    assert job.hosts == ("algo-1", "algo-2")
    assert not job.leads
    assert job.num_threads == 2


def test_bundles_can_be_told_from_single_models(trained):
    assert isinstance(bundle.load(trained / "nordics" / "model"), bundle.SingleModel)
