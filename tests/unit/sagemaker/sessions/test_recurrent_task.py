"""The optional tasks, end to end over features as the Glue job folds them."""

from __future__ import annotations

import json
import os
import re
from dataclasses import fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import entry
from glue_jobs.sessions.folding import SALT, Splitting, fold
from job import Job
from listening.archive import load
from listening.errors import DataError
from listening.sessions.bundle import MODEL
from listening.sessions.recurrent_model import RecurrentModel
from listening.sessions.sequence import STEPS, steps
from listening.sessions.state import FEATURES, Session
from listening.systems import SYSTEMS, validation_metric
from sessions import recurrent_fit, recurrent_task
from sessions.data import read_sessions
from sessions.fitting import pinball
from sessions.recurrent_fit import RecurrentSettings
from sessions.recurrent_task import SETTINGS, TRAINING, sequences

CELLS = ("gru", "lstm")
LISTENERS = {"ann": 90, "bob": 40, "cleo": 75, "dee": 3}
LOG_ENDS = 2e9
SMALL = {"hidden": "4", "epochs": "2", "batch": "32"}


def sessions_of(name: str, n: int) -> list[dict]:
    rng = np.random.default_rng(len(name) + n)
    rows, end = [], 1.6e9
    for _ in range(n):
        start = end + 1800 + rng.exponential(30_000)
        elapsed = np.cumsum(rng.exponential(200, rng.integers(1, 12)))
        end = start + elapsed[-1]
        skipped = rng.random(len(elapsed)) < 0.3
        rows.append(
            {
                "user_id": name,
                "start": start,
                "end": end,
                "plays": len(elapsed),
                "skips": int(skipped.sum()),
                "top_artist": "a",
                "elapsed": elapsed.tolist(),
                "skipped": skipped.tolist(),
                "gender": None,
                "age": 30.0 if name == "ann" else None,
                "registered": None,
            }
        )
    return rows


LOG = {name: sessions_of(name, n) for name, n in LISTENERS.items()}


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """Write manifest and sessions of a features run."""
    folder = tmp_path_factory.mktemp("features")
    schema = pa.schema(
        [
            *(("user_id", pa.string()), ("start", pa.float64()), ("end", pa.float64())),
            *(("plays", pa.int32()), ("skips", pa.int32()), ("top_artist", pa.string())),
            *(("elapsed", pa.list_(pa.float32())), ("skipped", pa.list_(pa.bool_()))),
            *((name, pa.float64()) for name in ("gender", "age", "registered")),
        ]
    )
    log = pa.Table.from_pylist([row for own in LOG.values() for row in own], schema)
    found = fold(log, Splitting(held_out=0.0, log_ends=LOG_ENDS, gap_s=1800.0))
    for split in ("train", "validation"):
        rows = found.filter(pa.compute.equal(found["split"], split)).drop_columns(["split"])
        place = folder / "sessions" / f"split={split}"
        place.mkdir(parents=True)
        pq.write_table(rows, place / "part-0.parquet")
    manifest = {
        "format_version": 1,
        "run": "jr_7",
        "synthetic": True,
        "features": list(FEATURES),
        "salt": SALT,
        "parameters": {"gap_s": 1800.0},
    }
    (folder / "channel").mkdir()
    (folder / "channel" / "manifest.json").write_text(json.dumps(manifest))
    return folder


def make_job(features, folder, cell, **hyperparameters) -> Job:
    for name in ("model", "output"):
        (folder / name).mkdir(parents=True)
    return Job(
        hyperparameters={"task": f"sessions.{cell}", **hyperparameters},
        channels={
            "features": features / "channel",
            **{n: features / "sessions" / f"split={n}" for n in ("train", "validation")},
        },
        model_folder=folder / "model",
        output_folder=folder / "output",
    )


@pytest.fixture
def splits(features):
    """Read the splits."""
    return {
        name: read_sessions(features / "sessions" / f"split={name}")
        for name in ("train", "validation")
    }


def past_of(split, i) -> list[Session]:
    """Return the sessions of the log before a split's i-th."""
    own = LOG[split.user_ids[split.listener[i]]][: split.number[i]]
    return [Session(*(row[field] for field in Session._fields)) for row in own]


@pytest.fixture
def _keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    for name in ("NPROC", "XLA_FLAGS"):
        monkeypatch.setenv(name, "")  # so that what the task sets does not stay
    for name in ("jax", "keras"):
        pytest.importorskip(name, reason="they are in requirements/recurrent.txt alone")


def test_a_row_of_either_split_has_the_endpoints_steps_before_it(splits):
    found = sequences(splits)
    for name, split in splits.items():
        rows = found[name]
        assert len(rows) == len(split)
        for i in range(len(split)):
            expected = steps(past_of(split, i))
            assert rows.lengths[i] == len(expected)
            got = rows.steps[i, STEPS - len(expected) :]
            assert got.tobytes() == expected.tobytes()
        assert np.array_equal(rows.context == 0, np.nan_to_num(split.features) == 0)
        assert np.expm1(rows.target) == pytest.approx(split.length, rel=1e-4)


def test_a_gap_in_the_sessions_is_refused(splits):
    last = {"validation": splits["validation"]}
    with pytest.raises(DataError, match="of listener ann are missing between others"):
        sequences(last)
    with pytest.raises(DataError, match="channels train and validation of one features run"):
        sequences({**splits, "train": replace(splits["train"], number=splits["train"].number + 1)})


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.usefixtures("_keras")
def test_a_net_is_trained_written_and_answers_as_it_says(cell, features, splits, tmp_path, capsys):
    job = make_job(features, tmp_path, cell, seed="3", **SMALL)
    entry.run(job)
    archive = load(job.model_folder)
    assert (archive.kind, archive.content["name"], archive.synthetic) == (MODEL, cell, True)
    assert archive.created_from == {"features_run": "jr_7"}
    told = json.loads((job.model_folder / TRAINING).read_text())
    assert told["rows"] == {name: len(split) for name, split in splits.items()}
    assert told["settings"]["hidden"] == 4
    assert len(told["curve"]["validation"]) == 2
    _, pattern = validation_metric("pinball")
    (printed,) = re.findall(pattern, capsys.readouterr().out)
    assert float(printed) == pytest.approx(told["pinball"], abs=1e-4)

    model = RecurrentModel(archive, archive.content["recurrent"])
    held = splits["validation"]
    pasts = [past_of(held, i) for i in range(len(held))]
    answers = model.quantiles_of_many(pasts, held.features)
    loss = pinball(held.length, answers).mean()
    assert loss == pytest.approx(told["pinball"], rel=1e-4)


@pytest.mark.usefixtures("_keras")
def test_the_same_seed_gives_the_same_archive(features, tmp_path):
    versions = set()
    for place in ("one", "two"):
        job = make_job(features, tmp_path / place, "gru", **SMALL | {"epochs": "1"})
        entry.run(job)
        versions.add(load(job.model_folder).version)
    assert len(versions) == 1


@pytest.mark.parametrize(
    ("hyperparameters", "says"),
    [
        ({"loss": "mae"}, "unknown hyperparameter loss; known are task, item, seed, batch"),
        ({"hidden": "many"}, "'hidden' must be of type int, got 'many'"),
        ({"layers": "0"}, "'layers' is out of its range: 0"),
        ({"dropout": "1"}, "'dropout' is out of its range: 1.0"),
        ({"optimizer": "best"}, "'optimizer' is out of its range: best"),
        ({"seed": "-1"}, "'seed' must be a whole number"),
    ],
)
def test_a_hyperparameter_that_cannot_be_is_refused(features, tmp_path, hyperparameters, says):
    with pytest.raises(DataError, match=says):
        entry.run(make_job(features, tmp_path, "gru", **hyperparameters))


def test_without_keras_the_job_says_what_to_install(features, tmp_path, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setenv("NPROC", "")
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(recurrent_fit.importlib, "import_module", missing)
    with pytest.raises(DataError, match=r"not installed .* requirements/recurrent\.txt"):
        entry.run(make_job(features, tmp_path, "lstm"))


@pytest.mark.parametrize("cell", CELLS)
def test_the_entry_names_what_the_task_takes(cell):
    (task,) = (task for task in SYSTEMS["sessions"].train if task.name == cell)
    assert task.optional
    assert task.hyperparameters == (*SETTINGS, "seed")
    assert {*SETTINGS, "loss"} == {field.name for field in fields(RecurrentSettings)}
    assert task.metric == recurrent_task.METRIC


def test_jax_computes_on_the_threads_of_the_job(monkeypatch):
    monkeypatch.setenv("NPROC", "64")
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=somewhere")
    recurrent_task.limit_threads(1)
    assert os.environ["NPROC"] == "1"
    flags = "--xla_dump_to=somewhere --xla_cpu_multi_thread_eigen=false"
    assert os.environ["XLA_FLAGS"] == flags
