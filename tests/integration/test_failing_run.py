"""What a user sees, and what is left, when a run fails or is interrupted."""

from __future__ import annotations

import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from listening.resources import PRIOR_VERSION
from listening.systems import SYSTEMS
from ops import registry, runs
from ops.cdk import project_root
from ops.emulator import Emulator
from ops.world import write_sample

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Finished

pytestmark = pytest.mark.integration


def test_a_failing_glue_job_reaches_the_user_and_publishes_nothing(
    tmp_path: Path,
    listening: Callable[..., Finished],
    processes_of: Callable[[Path], list[str]],
) -> None:
    data, state = tmp_path / "data", tmp_path / "state"
    write_sample(data, listeners=500, artists=1_000, artists_per_listener=5)
    users = pq.read_table(data / "users.parquet")
    nowhere = pa.array(["Atlantis"] * users.num_rows)
    pq.write_table(
        users.set_column(users.schema.get_field_index("country"), "country", nowhere),
        data / "users.parquet",
    )

    done = listening("run", "--data", str(data), state=state)

    assert done.code == 1
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("Error: the features run failed: features:")
    assert "Atlantis" in last or "country" in last
    assert "Traceback" not in done.err
    assert processes_of(state) == []
    emulator = Emulator(project_root(), state)
    with emulator.running(print) as connection:
        assert registry.champions(connection) == dict.fromkeys(SYSTEMS, PRIOR_VERSION)
        assert registry.published_versions(connection, "country") == [PRIOR_VERSION]
        assert runs.training_run_ids(connection, "country") == []
        [run_id] = runs.feature_run_ids(connection, "country")
        steps = runs.feature_run(connection, run_id, system="country").steps
        assert [step.state for step in steps] == [runs.SUCCEEDED, runs.FAILED]


def test_an_interrupted_run_leaves_nothing_running(
    tmp_path: Path, processes_of: Callable[[Path], list[str]], start: Any
) -> None:
    state = tmp_path / "state"
    process = start("run", "--listeners", "500", state=state)
    try:
        _read_until(process, "build features")
        time_left = time.monotonic() + 60
        while not any("embeddings" in line for line in processes_of(state)):
            assert time.monotonic() < time_left, "the job did not start"
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=90)
    finally:
        process.kill()
    assert process.returncode != 0
    assert "write the snapshot and stop the emulator: done" in rest
    assert processes_of(state) == []


def test_a_killed_run_leaves_nothing_running(
    tmp_path: Path, processes_of: Callable[[Path], list[str]], start: Any
) -> None:
    state = tmp_path / "state"
    process = start("run", "--listeners", "500", state=state)
    _read_until(process, "deploying")
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while left := processes_of(state):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_a_damaged_file_ends_the_run_before_it_begins(
    tmp_path: Path, listening: Callable[..., Finished], sample: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(sample, data)
    (data / "users.parquet").write_bytes(b"truncated")
    done = listening("run", "--data", str(data), state=tmp_path / "state")
    assert done.code == 1
    assert "users.parquet: not readable as parquet" in done.err
    assert not (tmp_path / "state").exists()


def _read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"the run ended without saying '{text}'")
