"""Churn over the emulator: a log to days, snapshots, models, a bundle, answers, risks, drift."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from listening.systems import CHURN
from ops import forgetting, runs, smoke, store
from ops.churn import command_line
from ops.churn.client import ChurnClient, Day, Past
from ops.cli.pipeline import STEPS, Outcome, walk
from ops.cli.progress import Journey
from ops.raw_folder import check_folder
from ops.world import write_world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ops.connection import Connection
    from ops.emulator import Emulator
    from tests.integration.conftest import Finished

pytestmark = pytest.mark.integration

LISTENERS = 700
AT = "2024-02-20"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log of plays, events, tracks and accounts."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, listeners=LISTENERS, artists=1_000, days=130, plays=70_000, processes=1)
    for table in ("top_artists", "ratings"):
        shutil.rmtree(folder / table)
    return folder


@pytest.fixture(scope="module")
def trained(emulator: Emulator, world: Path) -> Outcome:
    connection = emulator.up(print, stays=False)
    return walk(
        connection,
        check_folder(world, system=CHURN),
        Journey(STEPS),
        system="churn",
        report=emulator.state / "churn.html",
    )


def test_the_bundle_is_published_and_answers(trained: Outcome) -> None:
    assert trained.published, trained.reasons
    assert trained.synthetic
    assert trained.metrics["auc"] > 0.6
    assert trained.answers
    for gone, answer in trained.answers:
        assert isinstance(gone, bool)
        risks = [told["probability"] for told in answer["gone"]]
        assert [told["days"] for told in answer["gone"]] == [3, 7, 14]
        assert risks == sorted(risks, reverse=True)
        assert answer["bundle_version"] == trained.bundle_version
        assert answer["synthetic"]
        assert answer["in_population"]
    text = trained.report.read_text()
    assert "SYNTHETIC" in text
    assert "recipe: neural network" in text


def test_no_row_is_lost(connection: Connection, trained: Outcome) -> None:
    manifest = store.features_manifest(connection, trained.features_run, system="churn")
    key = f"churn/activity/{manifest['activity_run']}/quality.json"
    quality = json.loads(store.read_object(connection, connection.names.data_bucket, key))
    for table in ("plays", "events"):
        told = quality[table]
        assert told["rows_in"] == told["rows_out"] + sum(told["dropped"].values()) > 0


def test_everyone_is_ranked_and_the_endpoint_says_the_same(  # noqa: PLR0917 - fixtures
    emulator: Emulator,
    connection: Connection,
    world: Path,
    trained: Outcome,
    listening: Callable[..., Finished],
    tmp_path: Path,
) -> None:
    out = tmp_path / "risks.parquet"
    options = ("--system", "churn", "--data", str(world), "--out", str(out), "--at", AT)
    done = listening("score", *options, state=emulator.state)
    assert done.code == 0, done.err
    scored = pq.read_table(out).to_pylist()
    order = [(-row["gone_14"], row["user_id"]) for row in scored]
    assert order == sorted(order)
    assert len(scored) > LISTENERS / 10
    assert {row["bundle_version"] for row in scored} == {trained.bundle_version}
    assert {row["decile"] for row in scored} <= set(range(1, 11))
    assert max(row["last_active"] for row in scored).isoformat() < AT
    asked = scored[:: len(scored) // 8]
    pasts = known(connection, trained, [row["user_id"] for row in asked])
    for row, answer in zip(asked, ChurnClient(connection).ask(pasts), strict=True):
        for told in answer["gone"]:
            assert told["probability"] == pytest.approx(row[f"gone_{told['days']}"], abs=1e-4)
        assert answer["last_active"] == row["last_active"].isoformat()
        assert answer["gone"][-1]["decile"] == row["decile"]
        said = [f"{one['text']}: {one['log_odds']:+.1f}" for one in answer["reasons"]]
        assert said == row["reasons"]


def known(connection: Connection, trained: Outcome, users: list[str]) -> list[Past]:
    """Return what the job counted of listeners before the date."""
    manifest = store.features_manifest(connection, trained.features_run, system="churn")
    activity = f"churn/activity/{manifest['activity_run']}/"
    days, accounts = (
        [row for t in store.tables(connection, f"{activity}{name}/") for row in t.to_pylist()]
        for name in ("days", "listeners")
    )
    came = {row["user_id"]: date(row["came"]) for row in accounts}
    names = [name for name in Day.__dataclass_fields__ if name != "day"]
    pasts = []
    for user in users:
        own = [day for day in days if day["user_id"] == user and date(day["day"]) < AT]
        own.sort(key=lambda day: day["day"])
        used = [day["device"] for day in own if day["device"] is not None]
        past = [Day(date(day["day"]), **{name: day[name] for name in names}) for day in own]
        device = used[-1] if used else None
        pasts.append(Past(past, as_of=AT, device=device, registered_at=came.get(user)))
    return pasts


def date(day: int) -> str:
    return str(np.datetime64(day, "D"))


def test_plays_are_asked_about_from_a_file(
    emulator: Emulator, trained: Outcome, listening: Callable[..., Finished], tmp_path: Path
) -> None:
    assert trained.published
    file = tmp_path / "plays.csv"
    rows = "".join(f"me,2024-05-0{day}T18:00:00Z,t,200\n" for day in (1, 2, 4))
    file.write_text(f"user_id,played_at,track_id,played_s\n{rows}")
    options = ("--system", "churn", "--now", "2024-05-09")
    done = listening("invoke", str(file), *options, state=emulator.state)
    assert done.code == 0, done.err
    assert "gone, as of 2024-05-09" in " ".join(done.out.split())
    assert "14 days" in done.out


def test_smoke_drift_and_forgetting(connection: Connection, trained: Outcome) -> None:
    assert trained.published
    for name in ("churn: one invocation", "churn: one tiny run"):
        assert smoke.CHECKS[name](connection)
    run = runs.start_drift(connection, "churn")
    for state in runs.follow(
        lambda: runs.job_run(connection, run, system="churn", job=runs.DRIFT), seconds=300
    ):
        ended = state
    assert ended.state == runs.SUCCEEDED, ended.reason
    found = store.drift(connection, run, system="churn")
    assert set(found["shifts"]) == {"risk", "recency"}
    name = command_line.ask_some(connection, trained.features_run)[0][1]["user_id"]
    traces = forgetting.find_listener(connection, name)
    prefixes = {trace.key.split("/")[1] for trace in traces if trace.key.startswith("churn/")}
    assert {"activity", "snapshots"} <= prefixes
    forgetting.forget_listener(connection, name, traces)
    assert not any(trace.rows for trace in forgetting.find_listener(connection, name))
