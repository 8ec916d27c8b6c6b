"""What settings may give to a job is what its script reads, and what its documentation says."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from glue_jobs.drift import names_of_arguments
from listening.systems import SYSTEMS, Job, System

ROOT = Path(__file__).parents[3]
BY_THE_STACKS = {"data_uri", "models_uri", "champion_parameter", "environment"}
OF_ONE_RUN = {"batch", "embeddings_run", "champion"}
JOBS = [(system, job) for system in SYSTEMS.values() for job in system.jobs]


def documented(file: Path) -> set[str]:
    """Return the arguments that a script's docstring describes, beside those of one measure."""
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    terms = re.findall(r"^(\w.*)\n    \S", text, re.MULTILINE)
    return {name for term in terms for name in re.findall(r"(?:^|, )(\w+)(?= = |, |$)", term)}


@pytest.mark.parametrize(
    ("system", "job"), JOBS, ids=[f"{system.name}-{job.name}" for system, job in JOBS]
)
def test_an_entry_has_the_arguments_of_its_scripts(system: System, job: Job) -> None:
    script = ROOT / "glue_jobs" / system.script(job)
    told = documented(script)
    if job.name == "drift":
        read = names_of_arguments(system)
        told |= documented(ROOT / "glue_jobs" / "drift.py")
    else:
        read = import_module(f"glue_jobs.{system.name}.{job.name}").ARGUMENTS
    assert set(read) - BY_THE_STACKS - OF_ONE_RUN == set(job.arguments)
    assert told == set(read)
