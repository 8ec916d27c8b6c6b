"""Tuning: never worse than what is shipped, and the same search for SageMaker's own jobs."""

from __future__ import annotations

import json
import re

import boto3
import pytest
from moto import mock_aws

import entry
import tuning
from country.recipe import DEFAULTS, Recipe, recipe_for
from country.tuning import RANGES, Data, tune_level, written
from listening.systems import SYSTEMS, validation_metric

from .conftest import make_job


@pytest.fixture(scope="module")
def data(features_run) -> Data:
    """Read the features run."""
    return Data.read(features_run)


def test_the_best_is_never_worse_than_what_is_shipped(data):
    pytest.importorskip("optuna")
    found = tune_level(data, "country", seconds=1.5)
    assert found.loss <= found.shipped_loss
    assert set(found.settings) == set(RANGES)
    document = written(json.loads(DEFAULTS.read_bytes()), {"country": found}, data, 0.1)
    settings = document["country"]["settings"]
    assert Recipe(**{**settings, "blocks": tuple(settings["blocks"])}).base == "affinity"
    assert document["found_by"]["features_run"] == "jr_1"
    assert document["found_by"]["synthetic"] is True
    assert document["found_by"]["levels"]["country"]["log_loss"] == found.loss


def test_what_is_searched_is_a_setting_of_the_task():
    tasks = {f"{s.name}.{task.name}": task for s in SYSTEMS.values() for task in s.train}
    for task, ranges in tuning.RANGES.items():
        assert set(ranges) <= set(tasks[task].hyperparameters)
    assert set(tuning.TUNERS) == {task.partition(".")[0] for task in tuning.RANGES}


def test_the_metric_is_what_the_training_script_prints(features_run, tmp_path, capsys):
    entry.run(make_job("region", features_run, tmp_path, max_rounds="3"))
    (region,) = (task for task in SYSTEMS["country"].train if task.name == "region")
    _, pattern = validation_metric(region.metric)
    found = re.findall(pattern, capsys.readouterr().out)
    assert len(found) == 1
    assert float(found[0]) > 0


@pytest.fixture
def sagemaker(monkeypatch):
    """Give a client of an account in which a region model was trained."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        client = boto3.client("sagemaker")
        for job, task in (("region-1", "country.region"), ("assemble-1", "country.assemble")):
            client.create_training_job(
                TrainingJobName=job,
                HyperParameters={"task": task, "seed": "3", "num_leaves": "7"},
                AlgorithmSpecification={"TrainingImage": "image:1", "TrainingInputMode": "File"},
                RoleArn="arn:aws:iam::123456789012:role/region-training",
                OutputDataConfig={
                    "S3OutputPath": "s3://models/training/country/0a1b/",
                    "KmsKeyId": "key",
                },
                ResourceConfig={
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 30,
                },
                StoppingCondition={"MaxRuntimeInSeconds": 3600},
                EnableNetworkIsolation=True,
            )
        yield client


def test_sagemakers_tuning_job_searches_what_the_training_job_does(sagemaker, capsys):
    assert tuning.main(["--like", "region-1", "--minutes", "90"]) == 0
    asked = json.loads(capsys.readouterr().out)
    sagemaker.create_hyper_parameter_tuning_job(**asked)  # refuses what is not in the API
    config, definition = (
        asked["HyperParameterTuningJobConfig"],
        asked["TrainingJobDefinition"],
    )
    assert config["ResourceLimits"]["MaxRuntimeInSeconds"] == 90 * 60
    assert config["HyperParameterTuningJobObjective"]["MetricName"] == "validation:log_loss"
    ranges = [one for kind in config["ParameterRanges"].values() for one in kind]
    lowest = {one["Name"]: one["MinValue"] for one in ranges}
    recipe_for("region", listeners=1, effective_classes=1, hyperparameters=lowest)
    assert definition["StaticHyperParameters"] == {"task": "country.region", "seed": "3"}
    assert definition["OutputDataConfig"]["S3OutputPath"] == "s3://models/training/country/tuning/"
    assert definition["OutputDataConfig"]["KmsKeyId"] == "key"
    assert definition["EnableNetworkIsolation"] is True
    assert definition["RoleArn"].endswith("region-training")


@pytest.mark.parametrize(
    ("job", "told"),
    [("assemble-1", "has task 'country.assemble'"), ("none-1", "cannot be described")],
)
def test_a_job_that_trained_no_model_is_told(sagemaker, capsys, job, told):
    assert tuning.main(["--like", job]) == 1
    assert told in capsys.readouterr().err


def test_a_folder_that_is_no_features_run_is_told(tmp_path, capsys):
    assert tuning.main(["--features", str(tmp_path)]) == 1
    assert "the features run was not finished" in capsys.readouterr().err
