"""What is imported by those who name a package alone: as much as it says, and nothing heavy."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["listening", "ops"])
def test_what_a_package_lists_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.process
@pytest.mark.parametrize(
    ("package", "without"),
    [("listening", ["numpy", "boto3", "pyarrow"]), ("ops", ["aws_cdk", "moto", "rich", "typer"])],
)
def test_a_package_alone_loads_nothing_heavy(package: str, without: list[str]) -> None:
    program = f"import sys, {package}; print(*sorted(set({without!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
