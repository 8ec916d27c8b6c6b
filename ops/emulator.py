"""The emulator on this machine: started, deployed to, restored and stopped.

The emulator is a process of its own (``python -m local_aws serve``), known by its state folder.
What it holds in memory is gone when it stops, except for the snapshot that it writes then; `up`
starts it, deploys the CDK app again and puts the snapshot back.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from listening.errors import ResourceError
from ops.cdk import Cdk, installed, tail, tool_environment
from ops.connection import (
    LOCAL_CREDENTIAL,
    LOCAL_ENVIRONMENT,
    LOCAL_REGION,
    Connection,
    connect_local,
)

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = "123456789012"
START_SECONDS = 90
STOP_SECONDS = 60
RESTORE_SECONDS = 120
POLL_SECONDS = 0.2

_INPUTS = (
    "app.py",
    "cdk.json",
    "infra",
    "glue_jobs",
    "sagemaker",
    "inference",
    "listening",
    "local_aws",
    "Dockerfile",
    "requirements",
)
"""What decides the synthesised app and so whether a deployment is still the current one."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Emulator:
    """The emulator of one state folder.

    Parameters
    ----------
    project
        The project's folder.
    state
        The state folder: process record, logs, snapshot, synthesised app.
    """

    project: Path
    state: Path

    @property
    def log(self) -> Path:
        """What the emulator logs."""
        return self.state / "logs" / "emulator.log"

    @property
    def errors(self) -> Path:
        """What the emulator prints, which is why it ended where it did not mean to."""
        return self.state / "logs" / "emulator.stderr"

    @property
    def deploy_log(self) -> Path:
        """What the CDK prints."""
        return self.state / "logs" / "deploy.log"

    @property
    def has_snapshot(self) -> bool:
        """Whether there is something to bring up again."""
        return (self.state / "snapshot").is_dir()

    def endpoint(self) -> str | None:
        """Return the address of the running emulator, or None."""
        record = _read_json(self.state / "emulator.json")
        if record is None or not _is_alive(int(record["pid"])):
            return None
        endpoint = str(record["endpoint"])
        return endpoint if _answers(endpoint) else None

    def connection(self) -> Connection:
        """Return a connection to the running emulator.

        Raises
        ------
        ResourceError
            It is not running.
        """
        endpoint = self.endpoint()
        if endpoint is None:
            raise ResourceError("the emulator is down: `listening up` brings it up")
        return connect_local(endpoint)

    def up(self, tell: Tell, *, stays: bool = True) -> Connection:
        """Start the emulator if it is down, deploy if the app changed, restore the snapshot.

        Parameters
        ----------
        tell
            Called with each step as it begins.
        stays
            Whether a freshly started emulator outlives this process.

        Raises
        ------
        ResourceError
            It does not start or the deployment fails; has the end of the log. What was started
            is stopped.
        """
        with self._locked():
            started = self.endpoint() is None
            if started:
                tell("starting the emulator")
                self._start(stays=stays)
            try:
                connection = self.connection()
                self._deploy(connection, tell)
                if started and self.has_snapshot:
                    tell("restoring the last state")
                    _request(f"{connection.endpoint_url}/_local/restore", RESTORE_SECONDS, b"{}")
            except BaseException:
                if started:
                    self.down()
                raise
        return connection

    def down(self) -> bool:
        """Stop the emulator, which writes its snapshot first; tell whether it was running.

        Raises
        ------
        ResourceError
            It did not stop in time and was killed: its last changes are lost.
        """
        record = _read_json(self.state / "emulator.json")
        if record is None or not _is_alive(pid := int(record["pid"])):
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while _is_alive(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                raise ResourceError(
                    f"the emulator (process {pid}) did not stop within {STOP_SECONDS} s and was "
                    f"killed; the end of {self.log}:\n{tail(self.log)}"
                )
            time.sleep(POLL_SECONDS)
        return True

    @contextmanager
    def running(self, tell: Tell) -> Iterator[Connection]:
        """Have the emulator up for a block, and stop it afterwards if it was down before."""
        was_up = self.endpoint() is not None
        connection = self.up(tell, stays=was_up)
        try:
            yield connection
        finally:
            if not was_up:
                tell("stopping the emulator")
                self.down()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep a second command from starting or deploying at the same time."""
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start(self, *, stays: bool) -> None:
        glue_python = installed(self.project / ".venvs/glue/bin/python")
        image_python = installed(self.project / ".venvs/image/bin/python")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        (self.state / "emulator.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "local_aws", "serve"]
        command += ["--state", str(self.state), "--project", str(self.project)]
        command += ["--glue-python", str(glue_python), "--image-python", str(image_python)]
        if not stays:
            command += ["--parent", str(os.getpid())]
        with self.errors.open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self.project,
                env=tool_environment(self.project),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the emulator once, from `down`
            )
        deadline = time.monotonic() + START_SECONDS
        try:
            while self.endpoint() is None:
                if process.poll() is not None:
                    raise ResourceError(
                        f"the emulator ended with exit code {process.returncode}: "
                        f"{tail(self.errors) or tail(self.log)}"
                    )
                if time.monotonic() > deadline:
                    raise ResourceError(
                        f"the emulator did not answer within {START_SECONDS} s; "
                        f"the end of {self.log}:\n{tail(self.log)}"
                    )
                time.sleep(POLL_SECONDS)
        except BaseException:
            process.terminate()
            process.wait(STOP_SECONDS)
            raise

    def _deploy(self, connection: Connection, tell: Tell) -> None:
        """Bootstrap and deploy, unless this very app is deployed to this very process."""
        record = self.state / "deployed.json"
        process = (_read_json(self.state / "emulator.json") or {}).get("pid")
        app = self._fingerprint()
        deployed = _read_json(record)
        if deployed == {"pid": process, "app": app}:
            return
        assembly = self.state / "cdk.out"
        cdk = self.cdk(connection)
        if not assembly.is_dir() or (deployed or {}).get("app") != app:
            tell("synthesising the CDK app")
            record.unlink(missing_ok=True)
            cdk("synth", "--quiet", "--output", str(assembly))
        tell("deploying the CDK app")
        at = ("--app", str(assembly))
        cdk("bootstrap", f"aws://{ACCOUNT}/{LOCAL_REGION}", *at)
        cdk("deploy", "--all", "--require-approval", "never", "--method=direct", *at)
        record.write_text(json.dumps({"pid": process, "app": app}))

    def cdk(self, connection: Connection) -> Cdk:
        """Return the CDK command line that deploys to this emulator."""
        temporary = self.state / "work" / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        return Cdk(
            project=self.project,
            environment=LOCAL_ENVIRONMENT,
            log=self.deploy_log,
            variables={
                "TMPDIR": str(temporary),
                "AWS_ENDPOINT_URL": connection.endpoint_url or "",
                "AWS_ENDPOINT_URL_S3_FOR_CLOUDFORMATION": f"https://s3.{LOCAL_REGION}.amazonaws.com",
                "AWS_ACCESS_KEY_ID": LOCAL_CREDENTIAL,
                "AWS_SECRET_ACCESS_KEY": LOCAL_CREDENTIAL,
                "AWS_REGION": LOCAL_REGION,
                "AWS_DEFAULT_REGION": LOCAL_REGION,
            },
        )

    def _fingerprint(self) -> str:
        """Return a hash of every file that decides what is deployed."""
        digest = hashlib.sha256()
        for name in _INPUTS:
            place = self.project / name
            files = sorted(place.rglob("*")) if place.is_dir() else [place]
            for file in files:
                if file.is_file() and "__pycache__" not in file.parts:
                    digest.update(f"{file.relative_to(self.project)}\0".encode())
                    digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended but was not collected does not."""
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        ended = 0
    if ended == pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _answers(endpoint: str) -> bool:
    try:
        _request(f"{endpoint}/_local/health", timeout=5)
    except ResourceError:
        return False
    return True


def _request(url: str, timeout: float, body: bytes | None = None) -> bytes:
    """Ask the emulator; its address is always a loopback one."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, data=body, timeout=timeout) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        answer = error.read().decode(errors="replace")
        raise ResourceError(f"the emulator answered {error.code} to {url}: {answer}") from error
    except OSError as error:
        raise ResourceError(f"the emulator does not answer at {url}: {error}") from error
