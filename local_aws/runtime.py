"""What every service of the emulator shares: settings, children, objects, background work."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.logs.models import logs_backends

from local_aws.image import Image
from local_aws.objects import Objects
from local_aws.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

log = logging.getLogger("local_aws")

ACCOUNT = "123456789012"
"""The only account, moto's own default."""
REGION = "us-east-1"
"""The only region."""
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
}
"""What moto asks for: anything but nothing."""


@dataclass(frozen=True)
class Settings:
    """Where the emulator lives and what it runs programs with."""

    state: Path
    """The one folder that it writes."""
    project: Path
    """Folder of the Dockerfile."""
    glue_python: Path
    """Python of the environment that holds what Glue brings and what is declared."""
    image_python: Path
    """Python of the environment that the image installs."""
    port: int = 0
    """0 takes a free one."""


@dataclass
class Runtime:
    """The running emulator, as its services see it."""

    settings: Settings
    endpoint: str = ""
    """Where the emulator answers, such as ``http://127.0.0.1:41234``."""
    processes: Processes = field(default_factory=Processes)
    objects: Objects = field(default_factory=lambda: Objects(ACCOUNT))
    stopping: threading.Event = field(default_factory=threading.Event)
    _staging: threading.Lock = field(default_factory=threading.Lock)
    _pools: list[ThreadPoolExecutor] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the threads of `submit`."""
        self._workers = self.pool("work", 256)

    @property
    def logs(self) -> Path:
        """Folder of all log files."""
        return self.settings.state / "logs"

    @property
    def work(self) -> Path:
        """Scratch folder, emptied when the emulator starts."""
        return self.settings.state / "work"

    @property
    def temporary(self) -> Path:
        """Folder of temporary files: what a killed emulator leaves in it, the next one removes."""
        folder = self.work / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def image(self) -> Image:
        """The image, staged from the Dockerfile as the project is now."""
        with self._staging:
            return Image.stage(
                project=self.settings.project,
                python=self.settings.image_python,
                into=self.work / "image",
            )

    def pool(self, name: str, size: int) -> ThreadPoolExecutor:
        """Return threads that end with the emulator."""
        made = ThreadPoolExecutor(max_workers=size, thread_name_prefix=name)
        self._pools.append(made)
        return made

    def submit(self, function: Callable[..., object], *args: object) -> None:
        """Run a function in the background; what it raises is logged, never lost."""

        def logged() -> None:
            try:
                function(*args)
            except Exception:
                log.exception("background work failed: %s", function)

        if not self.stopping.is_set():
            self._workers.submit(logged)

    def environment(self, python: Path) -> dict[str, str]:
        """Return the environment of a child that may call AWS: nothing of ours is inherited."""
        own = {"AWS_ENDPOINT_URL": self.endpoint, "TMPDIR": str(self.temporary)}
        return isolated_environment(python) | CREDENTIALS | own

    def close(self) -> None:
        """Stop all children and take no more work."""
        self.stopping.set()
        self.processes.close()
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass
class LogStream:
    """A log file that is copied into CloudWatch Logs, so that clients read it as on AWS."""

    group: str
    stream: str
    path: Path
    _copied: int = 0
    """Bytes of the file that the stream has."""

    def __post_init__(self) -> None:
        """Begin at the file's end: what is there is another run's."""
        self._copied = self.path.stat().st_size if self.path.exists() else 0

    def publish(self, *, last: bool = False) -> None:
        """Copy the lines that were added; a line without an end only when it is the last."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._copied)
            content = file.read()
        whole = content if last else content[: content.rfind(b"\n") + 1]
        self._copied += len(whole)
        lines = whole.decode("utf-8", errors="replace").splitlines()
        put_log_lines(group=self.group, stream=self.stream, lines=lines)


def put_log_lines(*, group: str, stream: str, lines: Iterable[str]) -> None:
    """Append lines to a log stream; group and stream are made if they are not there."""
    backend: Any = logs_backends[ACCOUNT][REGION]
    if group not in backend.groups:
        backend.create_log_group(group, {})
    if stream not in backend.groups[group].streams:
        backend.create_log_stream(group, stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in lines if line]
    if events:
        backend.put_log_events(group, stream, events)


def isolated_environment(python: Path) -> dict[str, str]:
    """Return what a child needs and nothing that belongs to the emulator's own environment."""
    kept: Mapping[str, str] = {
        name: os.environ[name] for name in ("TMPDIR", "HOME") if name in os.environ
    }
    return {
        **kept,
        "PATH": os.pathsep.join([str(python.parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
