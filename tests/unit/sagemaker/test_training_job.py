"""Training jobs as SageMaker runs them: the `train` program of sagemaker-training in the image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from listening.country import bundle

ROOT = Path(__file__).resolve().parents[3]
TRAIN = ROOT / ".venvs" / "image" / "bin" / "train"

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not TRAIN.exists(), reason="the image's environment is not set up: make setup"
    ),
]


def start(folder: Path, hyperparameters: dict, channels: dict[str, Path]):
    """Run a training job in a folder laid out like ``/opt/ml``."""
    config = folder / "input" / "config"
    config.mkdir(parents=True)
    shutil.copytree(
        ROOT / "sagemaker", folder / "code", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name, source in channels.items():
        shutil.copytree(source, folder / "input" / "data" / name)
    documents = {
        "hyperparameters": {name: str(value) for name, value in hyperparameters.items()},
        "inputdataconfig": {name: {"TrainingInputMode": "File"} for name in channels},
        "resourceconfig": {
            "current_host": "localhost",
            "hosts": ["localhost"],
            "network_interface_name": "lo",
        },
    }
    for name, document in documents.items():
        (config / f"{name}.json").write_text(json.dumps(document), "utf-8")
    environment = {
        "PATH": f"{TRAIN.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SAGEMAKER_BASE_DIR": str(folder),
        "SAGEMAKER_PROGRAM": "entry.py",
        "HOME": str(folder),
    }
    return subprocess.run(
        [TRAIN], env=environment, capture_output=True, text=True, timeout=180, check=False
    )


def channels(features: Path, folder: Path) -> dict[str, Path]:
    manifest = folder / "manifest"
    manifest.mkdir(parents=True)
    shutil.copy(features / "manifest.json", manifest)
    listeners = features / "listeners"
    return {
        "features": manifest,
        "train": listeners / "split=train" / "region=nordics",
        "validation": listeners / "split=validation" / "region=nordics",
    }


def test_a_country_model_is_trained_and_publishable(features_run, tmp_path):
    job = start(
        tmp_path / "ml",
        {"task": "country.country", "item": "nordics", "max_rounds": 5, "seed": 3},
        channels(features_run, tmp_path),
    )
    assert job.returncode == 0, job.stdout + job.stderr
    single = bundle.load(tmp_path / "ml" / "model")
    assert isinstance(single, bundle.SingleModel)
    assert single.archive.kind == "country.model"
    assert single.model.classes == ("FI", "NO", "SE")
    assert not (tmp_path / "ml" / "output" / "failure").exists()


def test_a_failure_is_one_sentence(features_run, tmp_path):
    given = channels(features_run, tmp_path)
    del given["validation"]
    job = start(tmp_path / "ml", {"task": "country.country", "item": "nordics"}, given)
    assert job.returncode == 1
    reason = (tmp_path / "ml" / "output" / "failure").read_text("utf-8")
    assert reason == (
        "channel 'validation' is missing: create the training job with it (it has features, train)"
    )
