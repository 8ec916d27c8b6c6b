from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import psutil
import pytest

from local_aws.processes import Command, Processes
from local_aws.runtime import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local_aws.runtime import Settings

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[3]


def wait_until(predicate: Callable[[], Any], *, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := predicate()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


class Emulators:
    """Emulators as processes, ended with the test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.record = settings.state / "emulator.json"
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *more: str) -> dict[str, Any]:
        python = str(self.settings.glue_python)
        command = [sys.executable, "-m", "local_aws", "serve"]
        command += ["--state", str(self.settings.state), "--project", str(self.settings.project)]
        command += ["--glue-python", python, "--image-python", python, *more]
        self.started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL))
        wait_until(self.record.exists)
        record: dict[str, Any] = json.loads(self.record.read_text())
        return record


@pytest.fixture
def emulators(settings: Settings) -> Iterator[Emulators]:
    made = Emulators(settings)
    yield made
    for process in made.started:
        process.kill()
        process.wait()


def test_it_answers_on_loopback_only_and_stops_with_its_children(emulators: Emulators) -> None:
    record = emulators.start()
    with urllib.request.urlopen(f"{record['endpoint']}/_local/health", timeout=10) as answer:
        health = json.load(answer)
    assert health["status"] == "ok"
    assert health["pid"] == record["pid"] == emulators.started[0].pid
    listening = psutil.Process(record["pid"]).net_connections()
    addresses = {one.laddr.ip for one in listening if one.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}
    os.kill(record["pid"], signal.SIGTERM)
    assert emulators.started[0].wait(30) == 0
    assert not emulators.record.exists()
    assert (emulators.settings.state / "snapshot" / "state.json").exists()
    assert not (emulators.settings.state / "work").exists()


def test_it_stops_when_the_process_that_it_belongs_to_ends(emulators: Emulators) -> None:
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    emulators.start("--parent", str(owner.pid))
    owner.kill()
    owner.wait()
    assert emulators.started[0].wait(30) == 0


LEAVES_FILES = """
import pathlib, tempfile, time
folder = tempfile.mkdtemp()
pathlib.Path(folder, "large").write_bytes(bytes(1000))
print(folder, flush=True)
time.sleep(600)
"""


def test_a_killed_emulator_leaves_nothing_in_the_temp_folder(
    emulators: Emulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.setenv("TMPDIR", str(outside))
    endpoint = emulators.start()["endpoint"]
    session = boto3.Session("testing", "testing", region_name=REGION)
    s3, glue = (session.client(name, endpoint_url=endpoint) for name in ("s3", "glue"))
    s3.create_bucket(Bucket="scripts")
    s3.put_object(Bucket="scripts", Key="leaves.py", Body=LEAVES_FILES.encode())
    command = {"Name": "glueetl", "ScriptLocation": "s3://scripts/leaves.py"}
    glue.create_job(Name="leaves", Role="any", Command=command)
    run_id = glue.start_job_run(JobName="leaves")["JobRunId"]
    output = emulators.settings.state / "logs" / "glue" / "leaves" / f"{run_id}.output.log"
    left = Path(wait_until(lambda: output.exists() and output.read_text().strip()))
    assert left.is_relative_to(emulators.settings.state)
    emulators.started[0].kill()
    emulators.started[0].wait()
    assert (left / "large").exists()
    assert not list(outside.iterdir())
    emulators.record.unlink()
    emulators.start()
    assert not left.exists()


@pytest.fixture
def processes() -> Iterator[Processes]:
    made = Processes()
    yield made
    made.close()


def command(folder: Path, *arguments: str) -> Command:
    return Command(arguments=arguments, environment={}, folder=folder, output=folder / "output.log")


def test_stopping_a_process_stops_what_it_started(processes: Processes, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time, pathlib;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "pathlib.Path('child').write_text(str(child.pid)); time.sleep(600)"
    )
    process = processes.start(command(tmp_path, sys.executable, "-c", script))
    child = wait_until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    processes.stop(process)
    wait_until(lambda: not _runs(int(child)))


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time; from local_aws.processes import Command, Processes;"
        "here = pathlib.Path(sys.argv[1]);"
        "child = Processes().start(Command([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " {}, here, here / 'output.log'));"
        "(here / 'child').write_text(str(child.pid)); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT)
    child = wait_until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    wait_until(lambda: "leash" not in " ".join(psutil.Process(int(child)).cmdline()))
    parent.kill()
    parent.wait()
    wait_until(lambda: not _runs(int(child)))


def test_a_closed_table_starts_nothing_that_stays(processes: Processes, tmp_path: Path) -> None:
    sleeper = command(tmp_path, sys.executable, "-c", "import time; time.sleep(600)")
    process = processes.start(sleeper)
    processes.close()
    assert process.poll() is not None


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
