"""Two processes on loopback that train together learn what one learns alone."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import entry
from country.features import FeaturesManifest, read_listeners
from hosts import network
from listening.country import bundle
from listening.country.predictor import load_model

from .conftest import ROOT, make_job

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = ("127.0.0.1", "localhost")

SCRIPT = """
import json, sys
from pathlib import Path
import hosts, entry
from job import Job
hosts.PORT = int(sys.argv[2])
given = json.loads(sys.argv[1])
entry.run(Job(
    hyperparameters=given["hyperparameters"],
    channels={name: Path(folder) for name, folder in given["channels"].items()},
    model_folder=Path(given["model"]), output_folder=Path(given["output"]),
    num_threads=1, hosts=tuple(given["hosts"]), current_host=given["host"],
))
"""


def two_free_ports() -> int:
    """Return a port that is free, and whose successor is."""
    for _ in range(50):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no two free ports in a row")


def log_loss(folder: Path, features: Path) -> float:
    single = bundle.load(folder)
    manifest = FeaturesManifest.read(features)
    listeners = read_listeners(features / "listeners" / "split=test", manifest.layout)
    listeners = listeners.of(single.model.classes)
    log_p = load_model(single, single.model).log_probabilities(listeners.features)
    true = [single.model.classes.index(c) for c in listeners.countries.tolist()]
    return float(-log_p[np.arange(len(true)), true].mean())


def test_one_host_needs_no_network(features_run, tmp_path):
    assert network(make_job("region", features_run, tmp_path)) == {}


def test_every_host_has_its_port(features_run, tmp_path, monkeypatch):
    monkeypatch.setattr("hosts.PORT", 5000)
    job = replace(make_job("region", features_run, tmp_path), hosts=HOSTS, current_host=HOSTS[1])
    found = network(job)
    assert found["machines"] == "127.0.0.1:5000,127.0.0.1:5001"
    assert found["local_listen_port"] == 5001
    assert not job.leads


@pytest.mark.process
def test_two_hosts_learn_what_one_learns(features_run, tmp_path):
    settings = {"max_rounds": "40", "early_stopping_rounds": "0", "bagging_fraction": "1"}
    alone = make_job("flat", features_run, tmp_path / "alone", **settings)
    entry.run(alone)

    port = two_free_ports()
    files = sorted((features_run / "listeners" / "split=train").rglob("*.parquet"))
    started = []
    for rank, host in enumerate(HOSTS):
        job = make_job("flat", features_run, tmp_path / f"host{rank}", **settings)
        share = tmp_path / f"host{rank}" / "train"
        for file in files[rank::2]:  # as ShardedByS3Key deals them out
            (share / file.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, share / file.parent.name)
        given = {
            "hyperparameters": dict(job.hyperparameters),
            "channels": {name: str(folder) for name, folder in job.channels.items()}
            | {"train": str(share)},
            "model": str(job.model_folder),
            "output": str(job.output_folder),
            "hosts": HOSTS,
            "host": host,
        }
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT, json.dumps(given), str(port)],
                cwd=ROOT,
                env={"PYTHONPATH": f"{ROOT}:{ROOT / 'sagemaker'}", "PATH": "/usr/bin:/bin"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        said = [process.communicate(timeout=120)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], said

    together = tmp_path / "host0" / "model"
    assert log_loss(together, features_run) == pytest.approx(
        log_loss(alone.model_folder, features_run), abs=0.05
    )
    assert bundle.load(together).model.rounds == 40
    assert not any((tmp_path / "host1" / "model").iterdir())
