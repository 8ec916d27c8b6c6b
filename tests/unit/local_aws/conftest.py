from __future__ import annotations

import contextlib
import json
import os
import sys
import textwrap
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local_aws.runtime import ACCOUNT, CREDENTIALS, REGION, Settings
from local_aws.server import LocalServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOCKERFILE = """
FROM base AS build
COPY nothing /nowhere
FROM base
ENV PATH=/opt/venv/bin
ENV PYTHONPATH=/opt/toy SAGEMAKER_PROGRAM=entry.py
COPY --from=build /opt/venv /opt/venv
COPY programs /usr/local/bin
COPY toy /opt/toy/toy
COPY code \\
     /opt/ml/code
"""

TRAIN = """
#!/usr/bin/env python
import json, os, pathlib, sys, time
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
settings = json.loads((base / "input/config/hyperparameters.json").read_text())
found = sorted(
    p.relative_to(base / "input/data").as_posix()
    for p in (base / "input/data").rglob("*") if p.is_file()
)
print("loss=3.5\\nloss=1.25", flush=True)
(base / "model/found.json").write_text(json.dumps(found))
(base / "output/data/environment.json").write_text(json.dumps(dict(os.environ)))
time.sleep(float(settings.get("seconds", "0")))
if settings.get("fail"):
    (base / "output/failure").write_text(settings["fail"])
    sys.exit(3)
"""

SERVE = """
#!/usr/bin/env python
import json, os, pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

models = {}
multi = os.environ["SAGEMAKER_MULTI_MODEL"] == "true"

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"{}"):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200)

    def do_DELETE(self):
        models.pop(self.path.split("/")[2], None)
        self.answer(200)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == "/models":
            given = json.loads(body)
            if len(models) >= 2:
                return self.answer(507, b"out of memory")
            text = pathlib.Path(given["url"], "model.txt").read_bytes()
            if text == b"broken":
                return self.answer(500, b"cannot load")
            models[given["model_name"]] = text
            return self.answer(200)
        if body == b"bad":
            return self.answer(400, b"bad request")
        if self.path == "/invocations":
            folder = pathlib.Path(os.environ["SM_MODEL_DIR"])
            return self.answer(200, (folder / "model.txt").read_bytes() + b":" + body)
        target = self.headers["X-Amzn-SageMaker-Target-Model"].encode()
        self.answer(200, models[self.path.split("/")[2]] + b":" + target + b":" + body)

    def log_message(self, *args):
        pass

if os.environ.get("BREAK"):
    raise SystemExit("this server does not start")
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project whose image is three toy programs."""
    folder = tmp_path / "project"
    for name in ("programs", "toy", "code"):
        (folder / name).mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "programs/train").write_text(textwrap.dedent(TRAIN).lstrip())
    (folder / "programs/serve").write_text(textwrap.dedent(SERVE).lstrip())
    (folder / "toy/__init__.py").write_text("")
    (folder / "code/entry.py").write_text("")
    return folder


@pytest.fixture
def settings(tmp_path: Path, project: Path) -> Settings:
    python = Path(sys.executable)
    return Settings(
        state=tmp_path / "state", project=project, glue_python=python, image_python=python
    )


class Started:
    """A running emulator and its clients."""

    role = f"arn:aws:iam::{ACCOUNT}:role/toy"
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/toy:1"

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.runtime = server.runtime
        self.emulator = server.emulator

    @property
    def url(self) -> str:
        return self.runtime.endpoint

    def client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    @staticmethod
    def wait(predicate: Callable[[], Any], *, seconds: float = 60) -> Any:
        return wait_until(predicate, seconds=seconds)

    def post(self, path: str) -> Any:
        request = urllib.request.Request(f"{self.url}/_local/{path}", data=b"", method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def bucket(self, name: str = "plays") -> Any:
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name)
        return s3

    def deploy(self, resources: dict[str, Any], *, name: str = "toys", **more: Any) -> str:
        client = self.client("cloudformation")
        template = json.dumps({"Resources": resources, **more})
        exists = any(
            stack["StackName"] == name and "DELETE" not in stack["StackStatus"]
            for stack in client.describe_stacks()["Stacks"]
        )
        (client.update_stack if exists else client.create_stack)(
            StackName=name, TemplateBody=template
        )
        return str(client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])


def run_server(settings: Settings) -> Iterator[Started]:
    server = LocalServer(settings)
    stop = threading.Event()
    thread = threading.Thread(target=server.run, args=(stop,))
    thread.start()
    try:
        wait_until(server.record.exists)
        yield Started(server)
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
        reset_moto()


def reset_moto() -> None:
    from moto.moto_api._internal.models import moto_api_backend  # noqa: PLC0415

    moto_api_backend.reset()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**CREDENTIALS, "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MOTO_PORT", os.environ.get("MOTO_PORT", ""))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.fixture
def run_once() -> Any:
    """Run an emulator for a block."""
    return contextlib.contextmanager(run_server)


@pytest.fixture
def start() -> Iterator[Callable[[Settings], Started]]:
    """Start an emulator within a test, a second one over the same state too."""
    with contextlib.ExitStack() as stack:
        opened = contextlib.contextmanager(run_server)
        yield lambda settings: stack.enter_context(opened(settings))


@pytest.fixture
def emulator(settings: Settings) -> Iterator[Started]:
    yield from run_server(settings)


def wait_until(predicate: Callable[[], Any], *, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := predicate()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value
