"""From a features run to a judged bundle: the tasks, the judge, the gate, report and card."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest

import entry
from inference.handlers import load_handler
from job import Job
from listening.archive import ArchiveWriter, load, pack, write_prior
from listening.errors import DataError
from listening.sessions.bundle import SessionsBundle
from listening.sessions.forecast import LEVELS, MEDIAN
from listening.sessions.recurrent import Dense, Layer, Recurrent, Standard
from listening.sessions.recurrent_model import CONTENT, RecurrentModel, write_recurrent
from listening.sessions.sequence import STEP_FEATURES, STEPS
from listening.sessions.state import FEATURES, Session, State
from sessions.data import read_sessions
from sessions.evaluation import Judged

if TYPE_CHECKING:
    from pathlib import Path

QUICK = {"max_rounds": "30", "min_data_in_leaf": "20", "learning_rate": "0.15"}


def job(features_run: Path, folder: Path, task: str, **more: Any) -> Job:
    """Return a training job on the features run."""
    splits = {split: features_run / "sessions" / f"split={split}" for split in SPLITS}
    channels = {"features": features_run / "manifest", "profiles": features_run / "profiles"}
    hyperparameters = {"task": f"sessions.{task}", **more.pop("hyperparameters", {})}
    folder.mkdir(parents=True, exist_ok=True)
    return Job(
        hyperparameters=hyperparameters,
        channels={**channels, **splits, **more},
        model_folder=folder,
        output_folder=folder.with_name(folder.name + "-out"),
    )


SPLITS = ("train", "validation", "test", "held_out")


@pytest.fixture(scope="module")
def root(features_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train both models, judge a first bundle, and one beside it as champion."""
    root = tmp_path_factory.mktemp("trained")
    for name in ("start", "remaining"):
        entry.run(job(features_run, root / name, name, hyperparameters=QUICK))
        archive = root / "models" / name / "model.tar.gz"
        archive.parent.mkdir(parents=True)
        pack(root / name, archive)
    write_prior(root / "prior", system="sessions")
    (root / "champion").mkdir()
    pack(root / "prior", root / "champion" / "bundle.tar.gz")
    models, champion = root / "models", root / "champion"
    entry.run(job(features_run, root / "bundle", "assemble", models=models, champion=champion))
    (root / "next").mkdir()
    pack(root / "bundle", root / "next" / "bundle.tar.gz")
    entry.run(job(features_run, root / "second", "assemble", models=models, champion=root / "next"))
    return root


def document(root: Path, name: str = "bundle") -> dict[str, Any]:
    return dict(json.loads((root / f"{name}-out" / "evaluation.json").read_text()))


def test_a_bundle_beats_the_listeners_own_history(root: Path) -> None:
    found = document(root)
    assert found["gate"]["decision"] == "Approved"
    assert "below the own history's" in found["gate"]["reasons"][0]
    metrics = found["metrics"]
    assert metrics["mae_vs_running_median"] < 1
    assert metrics["pinball_vs_own_quantiles"] < 1
    assert 0.7 < metrics["within_10_90"] < 0.9
    assert metrics["auc"] > 0.6
    assert found["synthetic"] is True


def test_metrics_are_what_the_bundle_says_of_the_sessions(root: Path, features_run: Path) -> None:
    test = read_sessions(features_run / "sessions" / "split=test")
    bundle = SessionsBundle(load(root / "bundle"))
    median = bundle.lengths(test.features, bundle.clusters.nearest(test.summary).tolist())
    error = np.abs(median[:, MEDIAN] - test.length)
    assert document(root)["metrics"]["mae"] == pytest.approx(error.mean())
    assert document(root)["metrics"]["median_error"] == pytest.approx(np.median(error))


def test_everything_is_counted(root: Path, features_run: Path) -> None:
    found = document(root)
    for split, n in found["sessions"].items():
        assert n == len(read_sessions(features_run / "sessions" / f"split={split}"))
    for group in ("by_history", "by_cluster", "by_hour"):
        assert sum(row["sessions"] for row in found[group]) == found["sessions"]["test"]
    answers = found["answers"]
    assert {sum(counts.values()) for counts in answers.values()} == {found["sessions"]["test"]}


def test_the_same_models_are_not_worse_than_themselves(root: Path) -> None:
    second = document(root, "second")
    assert second["bundle_version"] == document(root)["bundle_version"]
    assert second["champion"]["version"] == second["bundle_version"]
    assert second["champion"]["differences"]["pinball"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert second["gate"]["decision"] == "Approved"


def test_report_and_card_say_it_to_people(root: Path) -> None:
    report = (root / "bundle-out" / "report.html").read_text()
    for words in (
        *("SYNTHETIC", "Elbow", "Silhouettes", "Clusters", "Reliability of the quantiles"),
        *("Error by elapsed plays", "Error by history", "Listeners never seen"),
    ):
        assert words in report, words
    assert "http://" not in report.replace("http://www.w3.org/2000/svg", "")
    card = json.loads((root / "bundle" / "model_card.json").read_text())
    jsonschema.validate(card, {"type": "object", "required": ["model_overview", "intended_uses"]})
    assert "SYNTHETIC" in card["model_overview"]["model_description"]


def test_the_bundle_answers_and_one_model_alone_says_where_to_ask(root: Path) -> None:
    answer, _ = load_handler(root / "bundle").answer(b"{}", "", "")
    assert json.loads(answer)["based_on"] == "everyone"
    with pytest.raises(Exception, match=r"one model of a bundle; ask bundle\.tar\.gz"):
        load_handler(root / "start").answer(b"{}", "", "")


def test_a_model_that_is_missing_is_named(root: Path, features_run: Path, tmp_path: Path) -> None:
    models = root / "models" / "start"
    with pytest.raises(DataError, match="no model 'remaining'; it has start"):
        entry.run(
            job(
                *(features_run, tmp_path / "x", "assemble"),
                models=models,
                champion=root / "champion",
            )
        )


@pytest.mark.parametrize(
    ("task", "hyperparameters", "message"),
    [
        ("start", {"leaves": "3"}, "unknown hyperparameter leaves"),
        (
            "start",
            {"standardise": "some"},
            "must be one of none, small, all, not some",
        ),
        ("start", {"num_leaves": "1"}, "'num_leaves' is out of its range"),
        ("remaining", {"standardise": "all"}, "unknown hyperparameter standardise"),
    ],
)
def test_wrong_hyperparameters_are_named(
    features_run: Path, tmp_path: Path, task: str, hyperparameters: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        entry.run(job(features_run, tmp_path / "m", task, hyperparameters=hyperparameters))


def test_clusters_get_their_own_model_only_where_it_is_better(root: Path) -> None:
    told = json.loads((root / "start" / "training.json").read_text())
    assert told["clustering"]["method"] in ("kmeans", "spectral", "one")
    kept = {t["cluster"] for t in told["cluster_models"] if t["kept"]}
    content = load(root / "bundle").content
    assert {int(cluster) for cluster in content["of_cluster"]} == kept
    assert all(t["difference"]["high"] < 0 for t in told["cluster_models"] if t["kept"])


def net() -> Recurrent:
    """Return a net that knows nothing."""
    rng = np.random.default_rng(3)

    def array(*shape: int) -> np.ndarray:
        return (0.3 * rng.normal(size=shape)).astype(np.float32)

    steps, known, n = len(STEP_FEATURES), len(FEATURES), len(LEVELS)
    return Recurrent(
        cell="gru",
        layers=(Layer(array(steps, 12), array(4, 12), array(2, 12)),),
        hidden=Dense(array(4 + known, 5), array(5)),
        output=Dense(array(5, n), np.full(n, 7, np.float32)),
        steps=Standard(*(np.full(steps, v, np.float32) for v in (1, 3))),
        context=Standard(*(np.full(known, v, np.float32) for v in (10, 1000))),
        levels=LEVELS,
    )


@pytest.mark.parametrize(("loss", "wins"), [(0.0, True), (1e9, False)])
def test_a_net_answers_where_it_was_better_on_validation(
    root: Path, features_run: Path, tmp_path: Path, loss: float, wins: bool
) -> None:
    archive = ArchiveWriter(tmp_path / "gru")
    content = {"name": "gru", CONTENT: write_recurrent(archive, CONTENT, net())}
    archive.finish("sessions.model", content, created_from={"features_run": "f1"})
    (tmp_path / "gru" / "training.json").write_text(json.dumps({"pinball": loss}))
    models = tmp_path / "models"
    shutil.copytree(root / "models", models)
    (models / "gru").mkdir()
    pack(tmp_path / "gru", models / "gru" / "model.tar.gz")
    bundle = tmp_path / "bundle"
    entry.run(job(features_run, bundle, "assemble", models=models, champion=root / "champion"))
    found = json.loads((tmp_path / "bundle-out" / "evaluation.json").read_text())
    assert found["candidates"]["gru"] == loss
    assert "Trees and nets" in (tmp_path / "bundle-out" / "report.html").read_text()
    assert (found["metrics"] == document(root)["metrics"]) is not wins
    past = [Session(1e9 + 9e4 * i, 1e9 + 9e4 * i + 900 + i, 5, 1) for i in range(70)]
    state = State()
    for session in past:
        state.fold(session)
    question = {"sessions": [session._asdict() for session in past], "now": 2e9}
    answer, _ = load_handler(bundle).answer(json.dumps(question).encode(), "", "")
    told = RecurrentModel(load(tmp_path / "gru"), content[CONTENT])
    by_net = told.quantiles(past[-STEPS - 1 :], state.features(2e9))
    answered = list(json.loads(answer)["length_s"].values())
    assert (answered == pytest.approx(by_net.tolist(), abs=2e-3)) is wins


def test_an_auc_is_that_of_pairs() -> None:
    length = np.array([100.0, 2_000.0, 5_000.0, 60.0, 1_900.0])
    longer = np.array([0.2, 0.9, 0.2, 0.4, 0.4])
    judged = Judged(np.arange(5), length, np.zeros((5, 9)), longer)
    long, short = longer[length > 1_800], longer[length <= 1_800]
    pairs = [(a > b) + 0.5 * (a == b) for a in long for b in short]
    assert judged.ranking.auc() == pytest.approx(np.mean(pairs))
    doubled = Judged(np.arange(5), length, np.zeros((5, 9)), longer)
    assert doubled.ranking.auc(np.full(5, 2.0)) == pytest.approx(np.mean(pairs))
