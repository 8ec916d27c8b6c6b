"""Sessions over the emulator: plays to sessions, features, models, a bundle, answers, scores."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from listening.errors import RequestError
from listening.systems import SESSIONS
from ops import runs, store
from ops.cli.pipeline import STEPS, Outcome, walk
from ops.cli.progress import Journey
from ops.raw_folder import check_folder
from ops.sessions.client import History, PastSession, SessionsClient
from ops.world import write_world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Finished

    from ops.connection import Connection
    from ops.emulator import Emulator

pytestmark = pytest.mark.integration

LISTENERS = 500


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log of plays, tracks and accounts."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, listeners=LISTENERS, artists=1_000, days=80, plays=50_000, processes=1)
    for table in ("top_artists", "events", "ratings"):
        shutil.rmtree(folder / table)
    return folder


@pytest.fixture(scope="module")
def trained(emulator: Emulator, world: Path) -> Outcome:
    connection = emulator.up(print, stays=False)
    return walk(
        connection,
        check_folder(world, system=SESSIONS),
        Journey(STEPS),
        system="sessions",
        report=emulator.state / "sessions.html",
    )


@pytest.fixture
def scored_at(emulator: Emulator, listening: Callable[..., Finished]) -> Callable[..., Finished]:
    """Score a folder at a moment by the command line."""

    def score(data: Path, out: Path, at: str) -> Finished:
        options = ("--system", "sessions", "--data", str(data), "--out", str(out), "--at", at)
        return listening("score", *options, state=emulator.state)

    return score


def test_the_bundle_is_published_and_answers(trained: Outcome) -> None:
    assert trained.published, trained.reasons
    assert trained.synthetic
    assert trained.metrics["pinball_vs_own_quantiles"] < 1
    assert len(trained.answers) == 5
    for true, answer in trained.answers:
        quantiles = list(answer["length_s"].values())
        assert quantiles == sorted(quantiles)
        assert true > 0
        assert answer["bundle_version"] == trained.bundle_version
        assert answer["synthetic"]
    assert "SYNTHETIC" in trained.report.read_text()


def test_no_row_is_lost(connection: Connection, trained: Outcome) -> None:
    manifest = store.features_manifest(connection, trained.features_run, system="sessions")
    sessions = f"sessions/sessions/{manifest['sessions_run']}/quality.json"
    features = f"sessions/session_features/{trained.features_run}/quality.json"
    bucket = connection.names.data_bucket
    before, after = (
        json.loads(store.read_object(connection, bucket, key)) for key in (sessions, features)
    )
    log, cut = before["log"], before["sessions"]
    assert log["rows_in"] == log["rows_out"] + sum(log["dropped"].values())
    assert cut["rows_in"] == log["rows_out"] == sum(cut["lengths"].values())
    told = after["sessions"]
    assert told["rows_in"] == cut["rows_out"]
    assert told["rows_in"] == sum(told["splits"].values()) + sum(told["dropped"].values())


def test_a_run_of_one_system_starts_no_other(connection: Connection, trained: Outcome) -> None:
    assert trained.published
    names = connection.names.of("country")
    arn = names.state_machine_arn(names.starter)
    executions = connection.stepfunctions.list_executions(stateMachineArn=arn)["executions"]
    manifest = store.features_manifest(connection, trained.features_run, system="sessions")
    inputs = [
        connection.stepfunctions.describe_execution(executionArn=one["executionArn"])["input"]
        for one in executions
    ]
    assert not any(manifest["batch"] in given for given in inputs)


@pytest.mark.usefixtures("trained")
def test_a_batch_that_lacks_a_table_starts_nothing(connection: Connection) -> None:
    for name in ("events.csv", "_READY"):
        connection.s3.put_object(
            Bucket=connection.names.data_bucket, Key=f"raw/events-alone/{name}", Body=b""
        )
    for system, table in (("country", "users"), ("sessions", "plays")):
        names = connection.names.of(system)
        arn = names.state_machine_arn(names.starter)

        def told(arn: str = arn) -> list[Any] | None:
            found = connection.stepfunctions.list_executions(stateMachineArn=arn)["executions"]
            outputs = [
                connection.stepfunctions.describe_execution(executionArn=one["executionArn"])
                for one in found
                if one["status"] == "SUCCEEDED"
            ]
            ours = [json.loads(one["output"]) for one in outputs if "events-alone" in one["input"]]
            return ours or None

        (output,) = runs.wait_for(told, what=f"the starter of {system}", seconds=60)
        assert output == {"batch": "events-alone", "lacks": table}


def test_the_endpoint_says_what_the_evaluation_was_made_of(
    connection: Connection, trained: Outcome
) -> None:
    prefix = f"sessions/session_features/{trained.features_run}/sessions/split=held_out/"
    rows = [r for table in store.tables(connection, prefix) for r in table.to_pylist()]
    user = rows[0]["user_id"]
    own = sorted((r for r in rows if r["user_id"] == user), key=lambda r: r["number"])
    past = [PastSession(r["start"], r["start"] + r["length"], r["plays"], r["skips"]) for r in own]
    client = SessionsClient(connection)
    alone = client.ask([History(past[:-1], now=own[-1]["start"])])
    again = client.ask([History(past[:-1], now=own[-1]["start"])] * 3)
    assert again == alone * 3
    assert alone[0]["sessions_used"] == len(own) - 1
    (prior,) = client.ask([History(past)], version="prior")
    assert prior["prior"]
    with pytest.raises(RequestError, match=r"listeners\[0\]\.now: is before the end"):
        client.ask([History(past, now=past[0].start)])


def test_a_whole_log_is_scored_as_the_endpoint_answers(
    connection: Connection,
    trained: Outcome,
    world: Path,
    tmp_path: Path,
    scored_at: Callable[..., Finished],
) -> None:
    out = tmp_path / "scores.parquet"
    at = "2024-03-01T12:00:00Z"
    done = scored_at(world, out, at)
    assert done.code == 0, done.err
    scores = pq.read_table(out).to_pylist()
    assert sorted(row["user_id"] for row in scores) == heard_before(world, at)
    assert {row["bundle_version"] for row in scores} == {trained.bundle_version}
    scored = next(r for r in scores if not r["going_on"] and r["sessions_used"] > 5)
    answer = _asked(connection, trained, profile_of(world, scored["user_id"]), at)
    assert answer["sessions_used"] == scored["sessions_used"]
    assert answer["cluster"] == scored["cluster"]
    for level, seconds in answer["length_s"].items():
        assert seconds == pytest.approx(scored[f"length_{float(level):.0%}"[:-1]], abs=0.01)


def heard_before(world: Path, at: str) -> list[str]:
    """Return who has a play that is one before a moment."""
    plays = pq.read_table(world / "plays")
    moment, first = (pa.scalar(datetime.fromisoformat(t)) for t in (at, "2000-01-01T00:00:00Z"))
    began, heard = plays["played_at"], plays["played_s"]
    kept = pc.and_(pc.less_equal(began, moment), pc.greater_equal(began, first))
    kept = pc.and_(kept, pc.and_(pc.greater_equal(heard, 0), pc.less_equal(heard, 86_400)))
    return sorted(plays.filter(kept)["user_id"].unique().to_pylist())


def profile_of(world: Path, user: str) -> dict[str, Any]:
    """Return what a listener's account says, as the endpoint takes it."""
    users = pq.read_table(world / "users", filters=[("user_id", "=", user)]).to_pylist()
    account = users[0]
    return {
        "user_id": user,
        "profile": {
            "gender": account["gender"],
            "age": account["age"],
            "registered_at": account["registered_at"].isoformat(),
        },
    }


def _asked(
    connection: Connection, trained: Outcome, listener: dict[str, Any], at: str
) -> dict[str, Any]:
    """Ask the endpoint about a listener by the sessions that the job cut, until a moment."""
    manifest = store.features_manifest(connection, trained.features_run, system="sessions")
    prefix = f"sessions/sessions/{manifest['sessions_run']}/sessions/"
    rows = [
        row
        for table in store.tables(connection, prefix)
        for row in table.to_pylist()
        if row["user_id"] == listener["user_id"]
    ]
    moment = 1_709_294_400.0  # the same as `at`
    past = [
        PastSession(row["start"], row["end"], row["plays"], row["skips"])
        for row in sorted(rows, key=lambda row: row["start"])
        if row["start"] <= moment
    ]
    question = History(past, now=at).to_json() | listener
    (answer,) = SessionsClient(connection).ask([question])
    return answer


@pytest.mark.usefixtures("trained")
def test_captured_answers_are_watched(connection: Connection) -> None:
    run = runs.start_drift(connection, "sessions")
    for state in runs.follow(
        lambda: runs.job_run(connection, run, system="sessions", job=runs.DRIFT), seconds=300
    ):
        ended = state
    assert ended.state == runs.SUCCEEDED, ended.reason
    found = store.drift(connection, run, system="sessions")
    assert set(found["shifts"]) == {"median_length", "sessions_used"}
    assert found["listeners"] >= 5


def test_an_export_is_asked_about_and_wrong_input_is_told(
    emulator: Emulator, tmp_path: Path, trained: Outcome, listening: Callable[..., Finished]
) -> None:
    export = tmp_path / "StreamingHistory_music_0.json"
    plays = [
        {"endTime": f"2024-05-{day:02} 18:{minute:02}", "artistName": "Air", "trackName": "Sex Boy",
         "msPlayed": 240_000}
        for day in range(1, 9) for minute in (4, 8, 12)
    ]  # fmt: skip
    export.write_text(json.dumps(plays))
    options = ("--system", "sessions", "--now", "2024-05-09T18:00:00Z")
    done = listening("invoke", str(export), "--json", *options, state=emulator.state)
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert (answer["sessions_used"], answer["based_on"]) == (8, "listener")
    assert answer["bundle_version"] == trained.bundle_version
    wrong = tmp_path / "x.csv"
    wrong.write_text("a,b\n1,2\n")
    done = listening("invoke", str(wrong), *options, state=emulator.state)
    assert done.code == 1
    assert "Traceback" not in done.err
