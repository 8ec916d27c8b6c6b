"""Small archives of every kind, and servers that serve them."""

from __future__ import annotations

import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from benchmarks.synthetic_bundle import SyntheticBundle
from listening.archive import write_prior

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listening.country.listeners import RawListener

ROOT = Path(__file__).resolve().parents[3]
DEADLINE = 60.0  # seconds
KINDS = ("bundle", "region", "country", "flat", "prior")


@pytest.fixture(scope="session")
def synthetic() -> SyntheticBundle:
    return SyntheticBundle()


@pytest.fixture(scope="session")
def archives(synthetic: SyntheticBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an unpacked archive of every kind, each in a folder of its kind's name."""
    folder = tmp_path_factory.mktemp("archives")
    slug = synthetic.region_table.regions[0].slug
    synthetic.write(folder / "bundle")
    synthetic.write_single(folder / "region", "region")
    synthetic.write_single(folder / "flat", "flat")
    synthetic.write_single(folder / "country", f"country-{slug}")
    write_prior(folder / "prior", system="country")
    for kind in KINDS:  # Multi Model Server takes no folder without one
        (folder / kind / "MAR-INF").mkdir()
        (folder / kind / "MAR-INF" / "MANIFEST.json").write_text(
            '{"runtime": "python", "model": {"modelName": "m", "handler": "mms_handler:handle"}}'
        )
    return folder


@pytest.fixture(scope="session")
def documents(synthetic: SyntheticBundle) -> list[dict[str, Any]]:
    """Return listeners as the endpoint's JSON."""
    listeners, _ = synthetic.generate(40)
    return [to_document(listener) for listener in listeners]


def to_document(listener: RawListener) -> dict[str, Any]:
    counts = listener.playcounts or []
    return {
        "top_artists": [
            {"artist_name": name, "playcount": count}
            for name, count in zip(listener.names, counts, strict=True)
        ],
        "total_scrobbles": listener.total_scrobbles,
    }


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A running server; a context manager that leaves no process behind."""

    def __init__(self, command: list[str], port: int = 0, **environment: str) -> None:
        self.port = port
        self.lines: list[dict[str, Any]] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            assert self.process.stdout is not None
            self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                self._queue.put(line)
        except ValueError:
            pass  # closed
        self._queue.put(None)

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the next log line of an event."""
        end = time.monotonic() + DEADLINE
        while True:
            line = self._queue.get(timeout=max(end - time.monotonic(), 0.01))
            assert line is not None, f"ended before '{event}': {self.lines}"
            entry = json.loads(line) if line.startswith("{") else {"event": line.strip()}
            self.lines.append(entry)
            if entry["event"] == event:
                return entry

    def __call__(
        self, method: str, path: str, body: Any = None, timeout: float = DEADLINE, **headers: str
    ) -> Reply:
        """Send one request on a connection of its own; a dictionary as JSON."""
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            headers.setdefault("content_type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def load(self, name: str, folder: Path) -> Reply:
        return self("POST", "/models", {"model_name": name, "url": str(folder)})

    def unload(self, name: str) -> Reply:
        return self("DELETE", f"/models/{quote(name, safe='')}")

    def invoke(self, name: str, body: Any, **headers: str) -> Reply:
        return self("POST", f"/models/{quote(name, safe='')}/invoke", body, **headers)


def serve(workers: int = 2, *, multi_model: bool = True, **environment: str) -> Server:
    """Start this project's server on a free port; not ready yet."""
    return Server(
        [sys.executable, "-m", "inference.serve"],
        SAGEMAKER_BIND_TO_PORT="0",
        SAGEMAKER_MULTI_MODEL="true" if multi_model else "",
        SAGEMAKER_MODEL_SERVER_WORKERS=str(workers),
        SAGEMAKER_BIND_TO_HOST="127.0.0.1",
        **environment,
    )


def ready(server: Server) -> Server:
    """Wait until a server serves."""
    server.port = server.wait_for("ready")["port"]
    return server


@pytest.fixture
def start() -> Iterator[Any]:
    """Give a function that starts a server, which ends with the test."""
    servers = []

    def start_one(workers: int = 2, *, multi_model: bool = True, **environment: str) -> Server:
        servers.append(serve(workers, multi_model=multi_model, **environment))
        return servers[-1]

    yield start_one
    for server in servers:
        server.__exit__()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    """One server of two workers for the tests of a module that leave it as it was."""
    with serve() as server:
        yield ready(server)
