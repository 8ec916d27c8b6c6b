"""The emulator's process, with a small stand-in for the emulator and for the CDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from listening.errors import ResourceError
from ops.cdk import Cdk, tool_environment
from ops.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.process

SERVER = """
import json, os, signal, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

state = Path(sys.argv[sys.argv.index("--state") + 1])
if (state / "broken").exists():
    sys.exit("no free port")

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def do_POST(self):
        (state / "restored").touch()
        self.do_GET()
    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
def stop(*_):
    (state / "snapshot").mkdir(exist_ok=True)
    threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, stop)
endpoint = f"http://127.0.0.1:{server.server_port}"
(state / "emulator.json").write_text(json.dumps({"pid": os.getpid(), "endpoint": endpoint}))
(state / "arguments.json").write_text(json.dumps(sys.argv[1:]))
server.serve_forever(0.05)
"""

CDK = """#!{python}
import json, os, sys
from pathlib import Path
arguments = sys.argv[1:]
with Path("calls").open("a") as calls:
    print(json.dumps([os.environ.get("AWS_ENDPOINT_URL", ""), *arguments]), file=calls)
if "--output" in arguments:
    Path(arguments[arguments.index("--output") + 1]).mkdir(exist_ok=True)
if Path("refuse").exists() and "deploy" in arguments:
    sys.exit("Unrecognized resource types: [AWS::Nonsense]")
"""


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    project = tmp_path / "project"
    for program in (".venvs/glue/bin/python", ".venvs/image/bin/python"):
        (project / program).parent.mkdir(parents=True)
        (project / program).touch()
    (project / "local_aws").mkdir()
    (project / "local_aws" / "__init__.py").touch()
    (project / "local_aws" / "__main__.py").write_text(textwrap.dedent(SERVER))
    (project / "app.py").write_text("one")
    cdk = project / "node_modules" / ".bin" / "cdk"
    cdk.parent.mkdir(parents=True)
    cdk.write_text(CDK.format(python=sys.executable))
    cdk.chmod(0o755)
    emulator = Emulator(project, tmp_path / "state")
    yield emulator
    emulator.down()


def calls(emulator: Emulator) -> list[list[str]]:
    record = emulator.project / "calls"
    lines = record.read_text().splitlines() if record.exists() else []
    record.unlink(missing_ok=True)
    return [json.loads(line) for line in lines]


def verbs(emulator: Emulator) -> list[str]:
    return [
        verb
        for call in calls(emulator)
        for verb in ("synth", "bootstrap", "deploy")
        if verb in call
    ]


def ignore(_: str) -> None:
    pass


def test_up_starts_deploys_and_says_so(emulator: Emulator) -> None:
    told: list[str] = []
    connection = emulator.up(told.append)
    assert told == ["starting the emulator", "synthesising the CDK app", "deploying the CDK app"]
    assert emulator.endpoint() == connection.endpoint_url
    for call in calls(emulator):
        assert call[0] == connection.endpoint_url
        assert "env=local" in call
    assert not (emulator.state / "restored").exists()
    assert emulator.down()
    assert emulator.endpoint() is None
    assert not emulator.down()


def test_a_second_up_reuses_all_of_it(emulator: Emulator) -> None:
    first = emulator.up(ignore)
    assert verbs(emulator) == ["synth", "bootstrap", "deploy"]
    assert emulator.up(ignore).endpoint_url == first.endpoint_url
    assert verbs(emulator) == []
    (emulator.project / "app.py").write_text("two")
    emulator.up(ignore)
    assert verbs(emulator) == ["synth", "bootstrap", "deploy"]


def test_up_after_down_deploys_the_same_app_and_restores(emulator: Emulator) -> None:
    emulator.up(ignore)
    emulator.down()
    calls(emulator)
    assert emulator.has_snapshot
    emulator.up(ignore)
    assert verbs(emulator) == ["bootstrap", "deploy"]
    assert (emulator.state / "restored").exists()


def test_a_refused_deployment_shows_why_and_stops_the_emulator(emulator: Emulator) -> None:
    (emulator.project / "refuse").touch()
    with pytest.raises(ResourceError, match=r"(?s)`cdk deploy` ended with .*AWS::Nonsense"):
        emulator.up(ignore)
    assert emulator.endpoint() is None


def test_a_refused_deployment_leaves_a_running_emulator(emulator: Emulator) -> None:
    emulator.up(ignore)
    (emulator.project / "refuse").touch()
    (emulator.project / "app.py").write_text("two")
    with pytest.raises(ResourceError):
        emulator.up(ignore)
    assert emulator.endpoint() is not None


def test_an_emulator_that_does_not_start_shows_why(emulator: Emulator) -> None:
    emulator.state.mkdir()
    (emulator.state / "broken").touch()
    with pytest.raises(ResourceError, match="ended with exit code 1: no free port"):
        emulator.up(ignore)


def test_running_stops_only_what_it_started(emulator: Emulator) -> None:
    with emulator.running(ignore) as connection:
        assert emulator.endpoint() == connection.endpoint_url
        arguments = json.loads((emulator.state / "arguments.json").read_text())
        assert arguments[arguments.index("--parent") + 1] == str(os.getpid())
    assert emulator.endpoint() is None

    emulator.up(ignore)
    assert "--parent" not in json.loads((emulator.state / "arguments.json").read_text())
    with emulator.running(ignore):
        pass
    assert emulator.endpoint() is not None


def test_running_stops_it_after_an_error(emulator: Emulator) -> None:
    with pytest.raises(KeyboardInterrupt), emulator.running(ignore):
        raise KeyboardInterrupt
    assert emulator.endpoint() is None


def test_a_record_of_a_process_that_is_gone_means_down(emulator: Emulator) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    emulator.state.mkdir()
    record = {"pid": done.pid, "endpoint": "http://127.0.0.1:9"}
    (emulator.state / "emulator.json").write_text(json.dumps(record))
    assert emulator.endpoint() is None
    assert not emulator.down()
    with pytest.raises(ResourceError, match="`listening up` brings it up"):
        emulator.connection()


def test_what_is_not_installed_is_named(emulator: Emulator) -> None:
    (emulator.project / ".venvs/glue/bin/python").unlink()
    with pytest.raises(ResourceError, match=r"glue/bin/python is missing: `make setup`"):
        emulator.up(ignore)
    assert not any("local_aws" in " ".join(p.cmdline()) for p in psutil.Process().children())


def test_tools_are_the_projects_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("AWS_PROFILE", "production")
    environment = tool_environment(Path("/project"))
    first, second, third = environment["PATH"].split(os.pathsep)
    assert (Path(first) / "python").exists()
    assert (Path(second) / "node").exists()
    assert third == "/usr/bin"
    assert (Path(environment["JAVA_HOME"]) / "bin" / "java").exists()
    assert "AWS_PROFILE" not in environment


def test_the_cdk_in_the_terminal_reports_its_failure(emulator: Emulator) -> None:
    (emulator.project / "refuse").touch()
    cdk = Cdk(project=emulator.project, environment="dev", log=None, variables={})
    with pytest.raises(ResourceError, match="`cdk deploy` ended with exit code 1"):
        cdk("deploy", "--all")
