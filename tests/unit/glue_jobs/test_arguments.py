"""What settings may give to a job is what its script reads, and what its documentation says."""

from __future__ import annotations

import ast
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from glue_jobs.drift import names_of_arguments
from glue_jobs.job import Arguments
from listening.errors import DataError
from listening.systems import SYSTEMS, Job, System

ROOT = Path(__file__).parents[3]
BY_THE_STACKS = {"data_uri", "models_uri", "champion_parameter", "environment"}
OF_ONE_RUN = {"batch", "embeddings_run", "sessions_run", "activity_run", "champion"}
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


NAMES = ("data_uri", "k", "batch", "share")


@pytest.fixture(autouse=True)
def _awsglue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for AWS's parser, which only the jobs' environment has."""
    utils = ModuleType("awsglue.utils")
    vars(utils)["getResolvedOptions"] = lambda argv, names: {
        name: argv[argv.index(f"--{name}") + 1] for name in names
    }
    monkeypatch.setitem(sys.modules, "awsglue", ModuleType("awsglue"))
    monkeypatch.setitem(sys.modules, "awsglue.utils", utils)


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["--k", "-3"], "--k is -3, but must be a number of at least 1"),
        (["--k", "0"], "--k is 0, but must be a number of at least 1"),
        (["--k", "5.5"], "--k is '5.5', but must be of type int"),
        (["--share", "-0.1"], "--share is -0.1, but must be a number of at least 0"),
        (["--share", "nan"], "--share is nan, but must be a number of at least 0"),
        (["--share", "inf"], "--share is inf, but must be a number of at least 0"),
        (["--data", "s3://x/"], "--data is no argument of this job; did you mean --data_uri?"),
        (["--ba=b"], "--ba is no argument of this job; did you mean --batch?"),
    ],
)
def test_a_wrong_argument_is_one_sentence(argv: list[str], reason: str) -> None:
    with pytest.raises(DataError, match=re.escape(reason)):
        arguments = Arguments(["script.py", *argv], NAMES)
        arguments.get("k", 5, least=1)
        arguments.get("share", 0.5)


def test_what_aws_adds_is_left_alone() -> None:
    argv = ["script.py", "--JOB_NAME", "x", "--TempDir", "s3://t/", "--k", "3"]
    assert Arguments(argv, NAMES).get("k", 5) == 3
