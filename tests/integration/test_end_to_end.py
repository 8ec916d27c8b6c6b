"""From raw plays to answers over the emulator: the main path, looked at from all sides."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from listening.errors import RequestError, ResourceError
from listening.resources import target_model
from ops import endpoint, registry, runs, store
from ops.country import labelled as test_split
from ops.country.client import Artist, CountryClient, Listener

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Finished

    from ops.cli.pipeline import Outcome
    from ops.connection import Connection
    from ops.emulator import Emulator

pytestmark = pytest.mark.integration

LISTENERS = 1_500


def test_the_bundle_is_published_and_answers(trained: Outcome) -> None:
    assert trained.published
    assert trained.champion == trained.bundle_version
    assert trained.synthetic
    assert len(trained.answers) == 5
    for labelled, answer in trained.answers:
        assert len(labelled.country) == 2
        assert len(answer.countries) == 5
        assert answer.bundle_version == trained.bundle_version
        assert answer.synthetic
        assert not answer.is_prior
        assert sum(region.probability for region in answer.regions) == pytest.approx(1, abs=1e-5)
    assert trained.metrics["log_loss"] > 0
    assert "ynthetic" in trained.report.read_text()


def test_each_task_of_the_state_machine_ran_once(connection: Connection, trained: Outcome) -> None:
    arn = runs.training_run_of(connection, trained.features_run, system="country")
    assert arn is not None
    run = runs.training_run(connection, arn, system="country")
    manifest = store.features_manifest(connection, trained.features_run, system="country")
    regions = manifest["regions"]
    expected = {"region", "flat", "assemble", *(region["slug"] for region in regions)}
    assert {step.name for step in run.steps} == expected
    assert all(step.state == runs.SUCCEEDED for step in run.steps)


def test_the_endpoint_is_as_good_as_the_evaluation_says(
    connection: Connection, client: CountryClient, trained: Outcome
) -> None:
    labelled = list(test_split.test_listeners(connection, trained.features_run))
    answers = client.ask([one.listener for one in labelled])
    hits = [
        one.country in {country.code for country in answer.countries}
        for one, answer in zip(labelled, answers, strict=True)
    ]
    assert np.mean(hits) == pytest.approx(trained.metrics["top5"], abs=5e-5)
    first = [
        one.country == answer.countries[0].code
        for one, answer in zip(labelled, answers, strict=True)
    ]
    assert np.mean(first) == pytest.approx(trained.metrics["accuracy"], abs=5e-5)


def test_features_of_the_job_and_of_the_endpoint_give_the_same_answer(
    connection: Connection, client: CountryClient, trained: Outcome
) -> None:
    features = _features(connection, trained.features_run)
    labelled = list(test_split.test_listeners(connection, trained.features_run))[:50]
    answers = client.ask([one.listener for one in labelled])
    rows = np.stack([features[str(one.listener.user_id)] for one in labelled])
    for answer, from_features in zip(answers, _ask_npy(connection, rows, trained), strict=True):
        expected = {entry["country"]: entry["probability"] for entry in from_features}
        got = {country.code: country.probability for country in answer.countries}
        assert got == pytest.approx(expected, abs=2e-5)


def test_each_model_is_a_target_of_its_own(connection: Connection, trained: Outcome) -> None:
    manifest = store.features_manifest(connection, trained.features_run, system="country")
    row = next(iter(_features(connection, trained.features_run).values()))
    slugs = [region["slug"] for region in manifest["regions"]]
    for model in ("region", "flat", *(f"country-{slug}" for slug in slugs)):
        target = target_model("country", trained.bundle_version, model)
        body = endpoint.invoke(
            connection, _npy(row[None]), target=target, content_type="application/x-npy"
        )
        answer = json.loads(body)["answers"][0]
        likely = answer["regions" if model == "region" else "countries"]
        assert likely[0]["probability"] > 0
    target = target_model("country", trained.bundle_version, "region")
    with pytest.raises(RequestError, match=str(len(row))) as caught:
        endpoint.invoke(
            connection, _npy(row[None, :-1]), target=target, content_type="application/x-npy"
        )
    assert caught.value.status == 400
    with pytest.raises(RequestError) as caught:
        endpoint.invoke(connection, b'{"top_artists": []}', target=target)
    assert caught.value.status == 415


def test_a_listener_nobody_knows_gets_the_prior(client: CountryClient, trained: Outcome) -> None:
    (answer,) = client.ask([Listener([Artist("no such artist at all")])])
    assert answer.is_prior
    assert (answer.known_artists, answer.unknown_artists) == (0, 1)
    (before_training,) = client.ask([Listener([Artist("x")])], version="prior")
    assert before_training.is_prior
    assert before_training.bundle_version == "prior" != trained.bundle_version


@pytest.mark.usefixtures("trained")
def test_a_bundle_that_is_not_there_is_an_error(client: CountryClient) -> None:
    with pytest.raises(ResourceError, match="000000000000"):
        client.ask([Listener([Artist("x")])], version="000000000000")


def test_scores_of_the_job_are_the_answers_of_the_endpoint(
    emulator: Emulator,
    trained: Outcome,
    sample: Path,
    tmp_path: Path,
    listening: Callable[..., Finished],
) -> None:
    out = tmp_path / "scores.parquet"
    done = listening("score", "--data", str(sample), "--out", str(out), state=emulator.state)
    assert done.code == 0, done.err
    scores = {row["user_id"]: row for row in pq.read_table(out).to_pylist()}
    assert len(scores) > 0.99 * LISTENERS

    for labelled, answer in trained.answers:
        scored = scores[str(labelled.listener.user_id)]
        assert scored["known_artists"] == answer.known_artists
        expected = {country.code: country.probability for country in answer.countries}
        got = dict(zip(scored["countries"], scored["probabilities"], strict=True))
        assert got == pytest.approx(expected, abs=2e-5)
        assert scored["bundle_version"] == trained.bundle_version


def test_down_and_up_again_lose_nothing(
    emulator: Emulator,
    trained: Outcome,
    listening: Callable[..., Finished],
    processes_of: Callable[[Path], list[str]],
) -> None:
    assert emulator.down()
    assert processes_of(emulator.state) == []

    listener = json.dumps({"top_artists": [{"artist_name": _known_artist(trained)}]})
    asked = listening("invoke", "-", "--json", state=emulator.state, input=listener)
    assert asked.code == 0, asked.err
    assert json.loads(asked.out)["bundle_version"] == trained.bundle_version
    assert processes_of(emulator.state) == []

    connection = emulator.up(print, stays=False)
    evaluation = store.evaluation(connection, trained.bundle_version, system="country")
    assert evaluation["metrics"] == trained.metrics
    assert runs.training_run_of(connection, trained.features_run, system="country") is not None
    assert registry.champion(connection, "country") == trained.bundle_version


def _known_artist(trained: Outcome) -> str:
    labelled, _ = trained.answers[0]
    return labelled.listener.top_artists[0].name


def _features(connection: Connection, run: str) -> dict[str, np.ndarray]:
    bucket = connection.names.data_bucket
    prefix = f"country/features/{run}/listeners/split=test/"
    features: dict[str, np.ndarray] = {}
    for key in store.list_keys(connection, bucket, prefix):
        if key.endswith(".parquet"):
            body = store.read_object(connection, bucket, key)
            for row in pq.read_table(pa.BufferReader(body)).to_pylist():
                features[row["user_id"]] = np.array(row["features"], dtype=np.float32)
    return features


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _ask_npy(connection: Connection, rows: np.ndarray, trained: Outcome) -> list[Any]:
    target = target_model("country", trained.bundle_version)
    body = endpoint.invoke(connection, _npy(rows), target=target, content_type="application/x-npy")
    return [answer["countries"] for answer in json.loads(body)["answers"]]
