"""One emulator for all tests of this folder, and a bundle that was trained on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from ops.cdk import project_root
from ops.cli.pipeline import STEPS, Outcome, walk
from ops.cli.progress import Journey
from ops.country.client import CountryClient
from ops.emulator import Emulator
from ops.raw_folder import check_folder
from ops.world import write_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ops.connection import Connection

LISTENERS = 1_500


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(project_root(), tmp_path_factory.mktemp("emulator") / "state")
    emulator.up(print, stays=False)
    yield emulator
    emulator.down()


@pytest.fixture
def connection(emulator: Emulator) -> Connection:
    """Return a connection to the emulator, up again if a test took it down."""
    return emulator.up(print, stays=False)


@pytest.fixture
def client(connection: Connection) -> CountryClient:
    return CountryClient(connection)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, listeners=LISTENERS, artists=3_000, artists_per_listener=20)
    return folder


@pytest.fixture(scope="session")
def trained(emulator: Emulator, sample: Path) -> Outcome:
    """Train a bundle on synthetic listeners, have it published, ask it."""
    connection = emulator.up(print, stays=False)
    return walk(
        connection,
        check_folder(sample),
        Journey(STEPS),
        system="country",
        report=emulator.state / "report.html",
    )


@dataclass(frozen=True)
class Finished:
    """A command line that ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def listening() -> Callable[..., Finished]:
    """Call the command line in a process of its own, on a PATH without Java and Node."""

    def call(*arguments: str, state: Path, **options: Any) -> Finished:
        done = subprocess.run(
            command_line(*arguments, state=state),
            capture_output=True,
            text=True,
            check=False,
            env=bare_environment(),
            timeout=540,
            **options,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return call


def command_line(*arguments: str, state: Path) -> list[str]:
    return [sys.executable, "-m", "ops.cli", *arguments, "--state", str(state)]


def bare_environment() -> dict[str, str]:
    """Return an environment in which no Java and no Node is found."""
    kept = {k: os.environ[k] for k in ("HOME", "LANG", "TMPDIR") if k in os.environ}
    return kept | {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(project_root())}


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Start the command line without waiting for its end, as a terminal does.

    A shell that runs the tests in the background has them, and what they start, ignore Ctrl-C.
    """

    def begin(*arguments: str, state: Path) -> subprocess.Popen[str]:
        outside = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            return subprocess.Popen(
                command_line(*arguments, state=state),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=bare_environment(),
            )
        finally:
            signal.signal(signal.SIGINT, outside)

    return begin


@pytest.fixture
def processes_of() -> Callable[[Path], list[str]]:
    """Return the command lines of all processes that have to do with a state folder."""

    def find(state: Path) -> list[str]:
        lines = []
        for process in psutil.process_iter():
            try:
                environment = " ".join(process.environ().values())
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if process.pid != os.getpid() and str(state) in f"{line} {environment}":
                lines.append(line)
        return lines

    return find
