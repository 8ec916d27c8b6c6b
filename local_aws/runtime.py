"""What every service of the emulator shares: settings, children, objects, background work."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local_aws.image import Image
from local_aws.objects import Objects
from local_aws.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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
    objects: Objects = field(default_factory=lambda: Objects(ACCOUNT, REGION))
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

    def image_environment(
        self, image: Image, base: Path, given: Mapping[str, Any], *, isolated: bool
    ) -> dict[str, str]:
        """Return the environment of a program of the image that lives below a folder.

        An isolated one has no credentials and no endpoint: nothing of AWS can be reached.
        """
        python = image.python
        return (
            (isolated_environment(python) if isolated else self.environment(python))
            | {"HOME": str(base)}
            | image.environment
            | {name: str(value) for name, value in given.items()}
            | {"PATH": image.path, "SAGEMAKER_BASE_DIR": str(base)}
        )

    def close(self) -> None:
        """Stop all children and take no more work."""
        self.stopping.set()
        self.processes.close()
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)


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
