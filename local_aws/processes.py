"""Child processes: each in a group of its own, none outlives the emulator."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LEASH = Path(__file__).with_name("leash.py")
GRACE = 10.0
"""Seconds between asking a process group to end and killing it."""


@dataclass(frozen=True)
class Command:
    """What to start, where, and with nothing but the named environment."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    output: Path
    """File that takes standard output."""
    errors: Path | None = None
    """File that takes standard error; None joins it with `output`."""


class Processes:
    """Starts, waits for and stops the emulator's children."""

    def __init__(self) -> None:
        # The kernel's parent-death signal is sent when the *thread* that started a child ends,
        # so one thread that lives as long as the emulator starts them all.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")
        self._lock = threading.Lock()
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def start(self, command: Command) -> subprocess.Popen[bytes]:
        """Start a command at the head of a new process group."""
        return self._starter.submit(self._start, command).result()

    def _start(self, command: Command) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as files:
            for path in (command.output, command.errors):
                if path is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
            output = files.enter_context(command.output.open("ab"))
            errors = (
                files.enter_context(command.errors.open("ab"))
                if command.errors is not None
                else subprocess.STDOUT
            )
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *command.arguments],
                env=dict(command.environment),
                cwd=command.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        with self._lock:
            closed = self._closed
            self._alive.add(process)
        if closed:
            self.stop(process)
        return process

    def wait(
        self,
        process: subprocess.Popen[bytes],
        *,
        timeout: float,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> int:
        """Wait for a process to end.

        Parameters
        ----------
        process
            The process.
        timeout
            Seconds that it may take.
        meanwhile
            Called about once a second.

        Raises
        ------
        subprocess.TimeoutExpired
            If it has not ended in time; it still runs then.
        """
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                code = process.wait(min(1.0, max(0.0, left)))
            except subprocess.TimeoutExpired:
                if left <= 0:
                    raise
                meanwhile()
            else:
                self._forget(process)
                return code

    def stop(self, process: subprocess.Popen[bytes], *, grace: float = GRACE) -> int:
        """End a process and everything that it started; return its exit code."""
        _signal_group(process, signal.SIGTERM)
        try:
            code = process.wait(grace)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            code = process.wait()
        self._forget(process)
        return code

    def close(self) -> None:
        """Stop every process; later ones are stopped as soon as they start."""
        with self._lock:
            self._closed = True
            alive = list(self._alive)
        for process in alive:
            _signal_group(process, signal.SIGTERM)
        for process in alive:
            self.stop(process, grace=GRACE / 2)
        self._starter.shutdown(wait=False)

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        _signal_group(process, signal.SIGKILL)  # whatever the process left behind in its group
        with self._lock:
            self._alive.discard(process)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
