"""What a Glue job's code version depends on: what is shipped to it, and no operator's tool."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glue_jobs.job import PACKAGES
from infra.features_stack import SHIPPED

ROOT = Path(__file__).parents[3]


def version(project: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", "from glue_jobs.job import code_version; print(code_version())"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_what_is_hashed_is_what_is_shipped() -> None:
    assert set(PACKAGES) == set(SHIPPED) == {"glue_jobs", "listening"}


@pytest.mark.process
def test_a_changed_tool_of_the_operator_changes_no_code_version(tmp_path: Path) -> None:
    for name in ("listening", "glue_jobs", "ops"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    before = version(tmp_path)
    with (tmp_path / "ops" / "runs.py").open("a") as file:
        file.write("#")
    assert version(tmp_path) == before
    with (tmp_path / "listening" / "names.py").open("a") as file:
        file.write("#")
    assert version(tmp_path) != before
