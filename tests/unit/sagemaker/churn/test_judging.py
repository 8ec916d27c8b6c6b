"""From a run of snapshots to a judged bundle: the tasks, the judge, the gate, report and card."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import entry
from churn.data import FeaturesManifest, read_snapshots
from churn.evaluation import Judged, summary
from inference.handlers import load_handler
from job import Job
from listening.archive import load, pack, write_prior
from listening.churn.bundle import ChurnBundle
from listening.errors import DataError, LayoutError
from tests.unit.sagemaker.churn.conftest import HORIZONS

if TYPE_CHECKING:
    from pathlib import Path

QUICK = {"max_rounds": "40", "min_data_in_leaf": "30", "learning_rate": "0.1"}
TASKS = {"trees": QUICK, "logistic": {}, "peers": {"most_rows": "900"}}


def job(run: Path, folder: Path, task: str, **more: Any) -> Job:
    """Return a training job on the features run."""
    splits = {
        split: run / "snapshots" / f"split={split}"
        for split in ("train", "validation", "rest", "test")
    }
    hyperparameters = {"task": f"churn.{task}", **more.pop("hyperparameters", {})}
    folder.mkdir(parents=True, exist_ok=True)
    return Job(
        hyperparameters=hyperparameters,
        channels={"features": run / "manifest", **splits, **more},
        model_folder=folder,
        output_folder=folder.with_name(folder.name + "-out"),
    )


@pytest.fixture(scope="module")
def root(snapshots_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train every family, judge a first bundle, and one beside it as champion."""
    root = tmp_path_factory.mktemp("trained")
    for name, hyperparameters in TASKS.items():
        entry.run(job(snapshots_run, root / name, name, hyperparameters=hyperparameters))
        archive = root / "models" / name / "model.tar.gz"
        archive.parent.mkdir(parents=True)
        pack(root / name, archive)
    write_prior(root / "prior", system="churn")
    (root / "champion").mkdir()
    pack(root / "prior", root / "champion" / "bundle.tar.gz")
    models, champion = root / "models", root / "champion"
    entry.run(job(snapshots_run, root / "bundle", "assemble", models=models, champion=champion))
    (root / "next").mkdir()
    pack(root / "bundle", root / "next" / "bundle.tar.gz")
    again = job(snapshots_run, root / "second", "assemble", models=models, champion=root / "next")
    entry.run(again)
    return root


def document(root: Path, name: str = "bundle") -> dict[str, Any]:
    return dict(json.loads((root / f"{name}-out" / "evaluation.json").read_text()))


def test_a_bundle_beats_the_base_rate_and_stands_beside_the_recipe(root: Path) -> None:
    found = document(root)
    assert found["gate"]["decision"] == "Approved"
    assert "below the base rate's" in found["gate"]["reasons"][0]
    peers = {name for name in found["models"] if name.startswith("recipe_")}
    assert {"bundle", "recency", "base_rate"} | peers == set(found["models"])
    assert len(peers) == 4
    assert found["models"]["base_rate"]["auc"]["value"] == 0.5
    assert found["metrics"]["auc"] > 0.7
    assert found["differences"]["base_rate"]["log_loss"]["high"] < 0
    assert sum(row["rows"] for row in found["by_date"]) == found["rows"]["test"]
    assert sum(row["rows"] for row in found["by_tenure"]) == found["rows"]["test"]
    assert found["tenths"][-1]["gain"] == pytest.approx(1)


def test_the_same_bundle_is_not_worse_than_itself(root: Path) -> None:
    found = document(root, "second")
    assert found["bundle_version"] == document(root)["bundle_version"]
    assert found["gate"]["decision"] == "Approved"
    differences = found["champion"]["differences"]
    assert {one["value"] for one in differences.values()} == {0.0}


def test_figures_are_those_of_the_bundle_on_the_test_rows(root: Path, snapshots_run: Path) -> None:
    manifest = FeaturesManifest.read(snapshots_run / "manifest")
    test = read_snapshots(snapshots_run / "snapshots" / "split=test", manifest)
    bundle = ChurnBundle(load(root / "bundle"))
    assert [horizon.days for horizon in bundle.horizons] == list(HORIZONS)
    risk = bundle.risks(test.rows).probability[:, -1]
    _, listener = np.unique(test.listener, return_inverse=True)
    told = summary(Judged(listener, test.gone[:, -1], risk), None)
    for name, value in told.items():
        assert document(root)["metrics"][name] == pytest.approx(value), name
    bins = np.array_split(np.argsort(risk, kind="stable"), 10)
    gaps = [abs(risk[b].mean() - test.gone[b, -1].mean()) * len(b) for b in bins]
    assert told["ece"] == pytest.approx(sum(gaps) / len(risk), abs=0.01)


def test_report_and_card_say_what_it_is_not(root: Path) -> None:
    report = (root / "bundle-out" / "report.html").read_text()
    assert "not whom an offer would keep" in report
    assert "SYNTHETIC" in report
    assert "recipe: random forest" in report
    assert "of 1" not in report or "{{" not in report
    card = json.loads((root / "bundle-out" / "model_card.json").read_text())
    caveats = card["additional_information"]["caveats_and_recommendations"]
    assert "it is no uplift" in caveats


def test_the_endpoint_answers_with_it_and_not_with_a_part(root: Path) -> None:
    question = json.dumps(
        {"activity": [{"day": "2016-10-01", "plays": 3}], "as_of": "2016-10-09"}
    ).encode()
    answer = json.loads(load_handler(root / "bundle").answer(question, "", "")[0])
    assert [told["days"] for told in answer["gone"]] == list(HORIZONS)
    for name in ("trees", "peers"):
        with pytest.raises(Exception, match="is one model of a bundle"):
            load_handler(root / name).answer(question, "", "")


def test_the_same_rows_train_the_same_models(
    root: Path, snapshots_run: Path, tmp_path: Path
) -> None:
    entry.run(job(snapshots_run, tmp_path / "trees", "trees", hyperparameters=QUICK))
    assert load(tmp_path / "trees").version == load(root / "trees").version


@pytest.mark.parametrize(
    ("task", "hyperparameters", "words"),
    [
        ("trees", {"num_leavs": "3"}, "unknown hyperparameter num_leavs"),
        ("trees", {"num_leaves": "1"}, "'num_leaves' is out of its range: 1"),
        ("logistic", {"penalty": "0"}, "'penalty' is out of its range: 0.0"),
        ("peers", {"most_rows": "many"}, "'most_rows' must be of type int, got 'many'"),
    ],
)
def test_a_wrong_hyperparameter_is_refused(
    snapshots_run: Path, tmp_path: Path, task: str, hyperparameters: dict[str, str], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        entry.run(job(snapshots_run, tmp_path / "m", task, hyperparameters=hyperparameters))


def test_models_of_another_run_or_none_are_refused(
    root: Path, snapshots_run: Path, tmp_path: Path
) -> None:
    champion = root / "champion"
    (tmp_path / "models").mkdir()
    shutil.copytree(root / "models" / "trees", tmp_path / "models" / "trees")
    with pytest.raises(DataError, match="channel 'models' has no model 'logistic'; it has trees"):
        entry.run(
            job(
                snapshots_run,
                tmp_path / "b",
                "assemble",
                models=tmp_path / "models",
                champion=champion,
            )
        )
    other = tmp_path / "run"
    shutil.copytree(snapshots_run, other)
    manifest = other / "manifest" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"run": "f1"', '"run": "f2"'))
    with pytest.raises(DataError, match="was trained on features run f1, not on f2"):
        entry.run(job(other, tmp_path / "c", "assemble", models=root / "models", champion=champion))
    manifest.write_text(manifest.read_text().replace('"plays_1"', '"playz_1"'))
    with pytest.raises(LayoutError, match="other features than this image knows"):
        entry.run(job(other, tmp_path / "d", "logistic"))
