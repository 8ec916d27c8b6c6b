"""A system is five small files, an entry and the lines that name them: docs/new-system.md's walk.

The project is copied, the files and lines are added, and nothing else is changed; the other systems
are left out of the copy's environment.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from ops.cdk import project_root
from ops.emulator import Emulator

from .conftest import bare_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.connection import Connection

SYSTEM = Path(__file__).with_name("counts_system")
COPIED = (
    *("app.py", "cdk.json", "Dockerfile", "requirements", "infra", "listening", "ops"),
    *("glue_jobs", "sagemaker", "inference", "local_aws", "web"),
)
INSTALLED = (".venv", ".venvs", "node_modules")
LINES = {
    "listening/systems.py": [
        ("SYSTEMS = {", (SYSTEM / "entry.txt").read_text() + "\nSYSTEMS = {"),
        ("SESSIONS, CHURN, CHARTS)}", "SESSIONS, CHURN, CHARTS, COUNTS)}"),
    ],
    "sagemaker/entry.py": [
        ("from job import Job\n", "from counts import TASKS as COUNTS, judge as judge_counts\n"
                                  "from job import Job\n"),
        ('    "sessions": judge_sessions,\n', '    "sessions": judge_sessions,\n'
                                              '    "counts": judge_counts,\n'),
        ("    **SESSIONS,\n", "    **SESSIONS,\n    **COUNTS,\n"),
    ],
    "inference/handlers.py": [
        ("import HANDLERS as COUNTRY\n", "import HANDLERS as COUNTRY\n"
                                         "from inference.counts import HANDLERS as COUNTS\n"),
        ("    **SESSIONS,\n", "    **SESSIONS,\n    **COUNTS,\n"),
    ],
    "infra/environments.toml": [
        ("[local.systems.country]\n", "[local.systems.counts]\n"
                                      "training = { capacity_wait_seconds = 1 }\n\n"
                                      "[local.systems.country]\ndeploy = false\n"),
        *(
            (f"[local.systems.{name}]\n", f"[local.systems.{name}]\ndeploy = false\n")
            for name in ("sessions", "churn", "charts")
        ),
    ],
}  # fmt: skip
"""By file: what stands there, and what it becomes."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, copy = project_root(), tmp_path_factory.mktemp("project")
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(root / name, copy / name)
    for name in INSTALLED:
        (copy / name).symlink_to(root / name)
    for folder in ("listening", "glue_jobs", "sagemaker", "inference"):
        shutil.copytree(SYSTEM / folder, copy / folder, dirs_exist_ok=True)
    for name, lines in LINES.items():
        text = (copy / name).read_text()
        for there, then in lines:
            assert text.count(there) == 1, f"{name}: {there!r}"
            text = text.replace(there, then)
        (copy / name).write_text(text)
    return copy


@pytest.fixture(scope="module")
def outcome(project: Path, sample: Path) -> dict[str, Any]:
    """Deploy the copy, run the system from raw plays to a published bundle."""
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", "run", "--system", "counts", "--data", str(sample)]
        + ["--state", str(project / ".state"), "--json"],
        cwd=project,
        env=bare_environment() | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
        timeout=540,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def connection(project: Path, outcome: dict[str, Any]) -> Iterator[Connection]:
    emulator = Emulator(project, project / ".state")
    yield emulator.up(print, stays=False)
    emulator.down()


def test_it_is_trained_judged_and_published(outcome: dict[str, Any]) -> None:
    assert outcome["published"]
    assert outcome["champion"] == outcome["bundle_version"]
    assert outcome["metrics"]["mae"] > 0
    assert outcome["reasons"][0].endswith("below the prior's")
    assert "SYNTHETIC" in Path(outcome["report"]).read_text()


def ask(connection: Connection, version: str, question: Any) -> Any:
    answer = connection.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=connection.names.endpoint,
        TargetModel=f"counts/{version}/bundle.tar.gz",
        ContentType="application/json",
        Body=json.dumps(question),
    )
    return json.loads(answer["Body"].read())


def test_it_answers(connection: Connection, outcome: dict[str, Any]) -> None:
    version = outcome["bundle_version"]
    answer = ask(connection, version, {"user_id": "someone"})
    assert answer["plays"] > 1
    assert (answer["user_id"], answer["bundle_version"]) == ("someone", version)
    assert ask(connection, "prior", {"user_id": "x"})["plays"] == 1
    with pytest.raises(ClientError, match="user_id: is missing"):
        ask(connection, version, {})


def test_a_system_left_out_leaves_nothing(connection: Connection) -> None:
    jobs = [job["Name"] for job in connection.glue.get_jobs()["Jobs"]]
    assert jobs == ["listening-local-counts-features"]
    parameters = connection.ssm.get_parameters_by_path(Path="/listening", Recursive=True)
    assert [p["Name"] for p in parameters["Parameters"]] == ["/listening/local/counts/champion"]
