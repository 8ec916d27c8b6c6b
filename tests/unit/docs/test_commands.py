"""Every command of the documentation: run where that is cheap, else held against its own parser.

Commands stand in ``console`` blocks, on lines that start with ``$``. The id of each test says what
was done: ``run`` (in a folder with a sample of listeners, exit code 0) or ``parsed`` by the
project's command line, by make (``-n``), by the options that the CDK's help lists, by AWS's own
service models, or by a program's ``--help``. What the tutorial does on the emulator is walked by
tests/integration.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import botocore.session
import pytest
from botocore import xform_name
from typer.main import get_command

from ops.cli.app import app
from ops.world import write_sample

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
CHEAP = ("export ", "listening data check ", "python -m pytest tests/unit/listening/")
"""What commands that are run start with."""
OF_THE_AWS_CLI = {("logs", "tail"): {"--since", "--follow"}, ("s3", "sync"): set()}
"""Commands of the AWS CLI that are in no service model, with the options that are used."""


class Command(NamedTuple):
    """A line of a console block, and the page that it stands in."""

    page: str
    number: int
    text: str


def commands() -> Iterator[Command]:
    for page in PAGES:
        inside = False
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
            if line.startswith("```"):
                inside = line == "```console"
            elif inside and line.startswith("$ "):
                yield Command(str(page.relative_to(ROOT)), number, line.removeprefix("$ "))


def name(command: Command) -> str:
    done = "run" if command.text.startswith(CHEAP) else "parsed"
    return f"{done}-{command.page}:{command.number}-{command.text}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder as a user's clone, with listeners in it."""
    place = tmp_path_factory.mktemp("clone")
    write_sample(place / "listeners", listeners=500, artists=1_000, artists_per_listener=10)
    for entry in ("listening", "tests", "pyproject.toml"):
        (place / entry).symlink_to(ROOT / entry)
    return place


@pytest.mark.parametrize("command", list(commands()), ids=name)
def test_a_command_of_the_documentation(command: Command, folder: Path) -> None:
    if command.text.startswith(CHEAP):
        done = subprocess.run(
            ["bash", "-ec", command.text],
            cwd=folder,
            env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return
    program, *arguments = shlex.split(command.text, comments=True)
    match program, arguments:
        case "listening", _:
            parse(get_command(app), arguments)
        case "make", _:
            subprocess.run(
                ["make", "-n", *arguments], cwd=ROOT, check=True, capture_output=True, timeout=20
            )
        case "npx", ["cdk", action, *rest]:
            given = {word for word in rest if word.startswith("-")}
            assert given <= options_of_cdk(action)
        case "aws", [service, operation, *rest]:
            check_aws(service, operation, rest)
        case "python", [script, *rest]:
            given = {word for word in rest if word.startswith("-")}
            assert given <= options_of(script)
        case _:
            pytest.fail(f"no check for '{program}': teach this test, or leave the command out")


def parse(command: object, arguments: list[str], parent: object = None) -> None:
    """Parse a command line to its last sub-command, without running it."""
    context = command.make_context(command.name, arguments, parent=parent)
    if hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        _, sub, rest = command.resolve_command(context, rest)
        parse(sub, rest, context)


def words(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


@cache
def options_of_cdk(action: str) -> set[str]:
    done = subprocess.run(
        [ROOT / "node_modules" / ".bin" / "cdk", action, "--help"],
        cwd="/",
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"cdk {action}" in done.stdout
    return words(done.stdout)


@cache
def options_of(script: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, script, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return words(done.stdout)


def check_aws(service: str, operation: str, arguments: list[str]) -> None:
    """Check that the service has the operation, and the operation the parameters."""
    given = {word for word in arguments if word.startswith("--")}
    if (service, operation) in OF_THE_AWS_CLI:
        assert given <= OF_THE_AWS_CLI[service, operation]
        return
    model = botocore.session.get_session().get_service_model(service)
    [found] = [n for n in model.operation_names if xform_name(n, "-") == operation]
    known = {f"--{xform_name(n, '-')}" for n in model.operation_model(found).input_shape.members}
    assert given <= known | {"--cli-input-json"}


def test_there_are_commands_and_no_command_hides_elsewhere() -> None:
    assert len(list(commands())) > 40
    hidden = [
        f"{page.name}: {line}"
        for page in PAGES
        for line in re.findall(r"^(?:    |\t)?\$ .*", page.read_text("utf-8"), re.MULTILINE)
        if line.startswith((" ", "\t"))
    ]
    assert not hidden
