from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from ops import runs
from ops.cli.app import app

if TYPE_CHECKING:
    import pytest
    from conftest import Aws

FOUND = {
    "bundle_version": "abc",
    "parameters": {"least_listeners": 500, "limits": {"country": 0.2, "list_length": 0.2}},
    "reference_listeners": 1000,
    "listeners": 600,
    "shifts": {"country": 0.31, "list_length": 0.05},
    "breaches": ["country"],
}


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["drift", *arguments, "--profile", "work", "--env", "dev"])


def deploy_job(aws: Aws, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any]) -> None:
    """Deploy a drift job whose runs have found something as soon as they are started."""
    aws.connection.glue.create_job(
        Name="listening-dev-country-drift", Role="r", Command={"Name": "glueetl"}
    )
    start = runs.start_drift

    def started(connection: Any, system: str) -> str:
        run = start(connection, system)
        aws.put(aws.connection.names.data_bucket, f"country/drift/{run}/manifest.json", found)
        return run

    monkeypatch.setattr(runs, "start_drift", started)


def test_figures_stand_beside_what_is_accepted(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy_job(aws, monkeypatch, FOUND)
    result = call()
    assert result.exit_code == 0, result.output
    lines = {line.split("│")[1].strip(): line for line in result.stdout.splitlines() if "│" in line}
    assert "600 captured listeners beside 1,000 of its test split" in result.stdout
    assert "0.310" in lines["country"]
    assert "BREACH" in lines["country"]
    assert "BREACH" not in lines["list length"]
    assert json.loads(call("--json").stdout) == FOUND


def test_few_listeners_are_said(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy_job(aws, monkeypatch, FOUND | {"listeners": 12, "breaches": []})
    assert "Fewer than 500 listeners: nothing is called a breach." in call().stdout


def test_an_environment_without_the_job_says_how_to_have_it(aws: Aws) -> None:
    result = call()
    assert result.exit_code == 1
    assert "environment dev does not watch country for drift: give it `drift = {}`" in result.stderr
