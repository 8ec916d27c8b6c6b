"""Tuning: never worse than what is shipped, and the same search for SageMaker's own jobs."""

from __future__ import annotations

import json
import re

import entry
import pytest
import tuning
from recipe import DEFAULTS, Recipe, recipe_for
from tuning import Data, main, request, tune, written

from .conftest import make_job


@pytest.fixture(scope="module")
def data(features_run) -> Data:
    """Read the features run."""
    return Data.read(features_run)


def test_the_best_is_never_worse_than_what_is_shipped(data):
    pytest.importorskip("optuna")
    found = tune(data, "country", seconds=1.5)
    assert found["log_loss"] <= found["shipped_log_loss"]
    assert set(found["settings"]) == set(tuning.RANGES)
    document = written(json.loads(DEFAULTS.read_bytes()), {"country": found}, data, 0.1)
    settings = document["country"]["settings"]
    assert Recipe(**{**settings, "blocks": tuple(settings["blocks"])}).base == "affinity"
    assert document["found_by"]["features_run"] == "jr_1"
    assert document["found_by"]["synthetic"] is True


def test_the_metric_is_what_the_training_script_prints(features_run, tmp_path, capsys):
    entry.run(make_job("region", features_run, tmp_path, max_rounds="3"))
    found = re.findall(tuning.METRIC["Regex"], capsys.readouterr().out)
    assert len(found) == 1
    assert float(found[0]) > 0


def test_sagemakers_search_is_of_hyperparameters_that_the_script_knows():
    config = request("region")["HyperParameterTuningJobConfig"]
    ranges = [one for kind in config["ParameterRanges"].values() for one in kind]
    lowest = {one["Name"]: one["MinValue"] for one in ranges}
    recipe_for("region", listeners=1, effective_classes=1, hyperparameters=lowest)
    assert config["HyperParameterTuningJobObjective"]["MetricName"] == "validation:log_loss"


def test_a_folder_that_is_no_features_run_is_told(tmp_path, capsys):
    assert main(["--features", str(tmp_path)]) == 1
    assert "the features run was not finished" in capsys.readouterr().err
