"""Charts over the emulator: a log to lists, a bundle without training, answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from listening.errors import ResourceError
from listening.systems import CHARTS
from ops import forgetting, registry, runs, smoke, store
from ops.charts.client import ChartsClient
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


@pytest.fixture(scope="module")
def trained(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, listeners=600, artists=1_000, days=80, plays=40_000, processes=1)
    connection = emulator.up(print, stays=False)
    return walk(
        connection,
        check_folder(folder, system=CHARTS),
        Journey(STEPS),
        system="charts",
        report=emulator.state / "charts.html",
    )


def test_lists_are_published_without_training(connection: Connection, trained: Outcome) -> None:
    assert trained.published, trained.reasons
    assert trained.synthetic
    assert 0 < trained.metrics["hit10"] <= trained.metrics["hit50"] <= 1
    for answer in trained.answers:
        assert answer["bundle_version"] == trained.bundle_version
        assert [track["rank"] for track in answer["tracks"]] == [1, 2, 3, 4, 5]
    report = trained.report.read_text()
    assert "SYNTHETIC" in report
    assert "Hot this month" in report
    assert registry.champion(connection, "charts") == trained.bundle_version


def test_the_answer_is_the_jobs_list(connection: Connection, trained: Outcome) -> None:
    prefix = f"charts/charts/{trained.features_run}/"
    rows = [r for t in store.tables(connection, f"{prefix}lists/") for r in t.to_pylist()]
    countries = [row["place"] for row in rows if len(row["place"]) == 2]
    country = max(set(countries))
    own = [r for r in rows if (r["window"], r["place"]) == ("month", country)]
    own.sort(key=lambda row: row["rank"])
    client = ChartsClient(connection)
    found = client.ask("month", country=country, k=3, not_heard_by=[own[0]["track_id"]])
    assert [track["track_id"] for track in found["tracks"]] == [r["track_id"] for r in own[1:4]]
    assert found["tracks"][0]["score"] == pytest.approx(own[1]["score"], abs=1e-4)
    bucket = connection.names.data_bucket
    quality = json.loads(store.read_object(connection, bucket, f"{prefix}quality.json"))
    for table in ("log", "events"):
        told = quality[table]
        assert told["rows_in"] == told["rows_out"] + sum(told["dropped"].values()) > 0


def test_no_listener_is_named_by_what_the_job_leaves(
    connection: Connection, trained: Outcome
) -> None:
    assert trained.published
    traces = forgetting.find_listener(connection, "listener-000001")
    assert not [trace for trace in traces if trace.key.startswith("charts/")]


def test_the_command_line_asks_and_says_what_charts_has_not(
    connection: Connection,
    emulator: Emulator,
    trained: Outcome,
    listening: Callable[..., Finished],
    tmp_path: Path,
) -> None:
    assert trained.published
    assert smoke.CHECKS["charts: one invocation"](connection)
    done = listening("invoke", "--system", "charts", "-k", "2", state=emulator.state)
    assert done.code == 0, done.err
    assert "hot this week in world" in " ".join(done.out.split())
    for command in (
        ("score", "--data", str(tmp_path), "--out", str(tmp_path / "o")),
        ("drift",),
    ):
        done = listening(*command, "--system", "charts", state=emulator.state)
        assert done.code != 0
        assert "system charts has no job" in " ".join(done.err.split())
    with pytest.raises(ResourceError, match="has no job 'scoring'; it has charts"):
        runs.start_job(connection, runs.SCORING, system="charts", arguments={})
