from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from listening.errors import DataError
from ops.cli.app import app
from ops.cli.asking import ASKING
from ops.cli.console import say_table

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result
    from conftest import Aws

ON_AWS = ("--profile", "work", "--env", "dev")


def call(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


@pytest.fixture
def cdk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put a program in the place of the CDK's, which prints and writes its arguments down."""
    program = tmp_path / "node_modules" / ".bin" / "cdk"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho of no use to machines\necho "$@" > "$0.called"\n')
    program.chmod(0o755)
    monkeypatch.setattr("ops.cli.owner.project_root", lambda: tmp_path)
    return program.with_suffix(".called")


def call_json(*arguments: str) -> Any:
    result = call(*arguments, "--json", *ON_AWS)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_command_of_the_documentation_is_there() -> None:
    listed = call("--help").output
    for command in [
        "run",
        "up",
        "down",
        "status",
        "invoke",
        "score",
        "report",
        "logs",
        "deploy",
        "smoke",
        "drift",
        "cost",
        "data",
        "models",
    ]:
        assert command in listed


def test_an_artist_is_asked_for(aws: Aws) -> None:
    aws.name_champion("abc")
    aws.answer()
    result = call("invoke", "--artist", "Björk:12", "--artist", "AC/DC", *ON_AWS)
    assert result.exit_code == 0, result.output
    assert "Iceland" in result.stdout
    assert "75.0%" in result.stdout
    assert "2 artists known, 1 unknown" in result.stdout


def test_synthetic_and_unknown_are_said(aws: Aws) -> None:
    aws.answer(prior=True, synthetic=True)
    result = call("invoke", "-", *ON_AWS, stdin='{"top_artists": [{"artist_name": "x"}]}')
    assert "SYNTHETIC" in result.stdout
    assert "Nothing is known of this listener" in result.stdout


def test_an_answer_for_machines(aws: Aws, tmp_path: Path) -> None:
    aws.answer()
    file = tmp_path / "me.csv"
    file.write_text("artist,plays\nBjörk,3\n")
    answer = call_json("invoke", str(file))
    assert answer["countries"] == [{"code": "IS", "name": "Iceland", "probability": 0.75}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_stdin_is_read_as_a_file_is(aws: Aws, encoding: str) -> None:
    aws.answer()
    content = "artist,plays,tags\nBjörk,9,x\n".encode(encoding)
    result = CliRunner().invoke(app, ["invoke", "-", *ON_AWS], input=content)
    assert result.exit_code == 0, result.output
    assert "Iceland" in result.stdout
    assert "Not used of stdin: tags." in result.stderr


def test_a_file_that_names_no_artist_is_an_error(aws: Aws) -> None:
    result = call("invoke", "-", *ON_AWS, stdin='[{"name": "Björk"}]')
    assert result.exit_code == 1
    assert "stdin, entry 1: no artist_name, it has the keys name" in result.stderr


def test_common_options_may_stand_before_or_after(aws: Aws) -> None:
    after = call("status", *ON_AWS, "--json")
    before = call("--json", *ON_AWS, "status")
    assert after.exit_code == before.exit_code == 0
    assert after.stdout == before.stdout


def test_models_are_listed_compared_promoted_and_rolled_back(aws: Aws) -> None:
    for version in ("a", "b"):
        aws.register(version)
        aws.publish(version)
    aws.name_champion("a")
    assert {bundle["version"] for bundle in call_json("models", "list")["country"]} == {"a", "b"}
    assert set(call_json("models", "compare", "b")) == {"a", "b"}
    assert call_json("models", "promote", "b") == {"champion": "b", "previous": "a"}
    assert call_json("models", "rollback") == {"champion": "a", "previous": "b"}
    aws.register("a")
    aws.register("c", decision="Rejected")
    listed = call("models", "list", *ON_AWS).stdout
    assert "Bundles of country (SYNTHETIC listeners)" in listed
    rows = {row[1]: row for row in (line.split() for line in listed.splitlines()) if len(row) > 5}
    assert {version: row[5:8] for version, row in rows.items() if version in "abc"} == {
        "a": ["│", "2", "│"],
        "b": ["│", "1", "│"],
        "c": ["│", "1", "│"],
    }
    assert [rows[version][8] for version in "abc"] == ["champion", "published", "refused"]


def test_a_champion_that_no_training_made_is_named(aws: Aws) -> None:
    listed = call("models", "list", *ON_AWS).stdout
    assert "The champion of country is prior, which no training registered." in listed


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal_and_break_no_word(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.cli.console.PLAIN_WIDTH", width)
    words = ["training", "failed", "2026-11-24", "23:01", "10:46", "country-nordics,", "succeeded,"]
    jobs = "14 succeeded, 1 failed: country-nordics, country-latin-am"
    say_table(
        "Last runs",
        ["Run", "State", "Started", "Took ", "Jobs"],
        [("training", "failed", "2026-11-24 23:01", "10:46", jobs)],
    )
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert set(words) <= set(" ".join(lines).split())


def test_the_report_is_fetched(aws: Aws, tmp_path: Path) -> None:
    aws.register("a")
    aws.name_champion("a")
    out = tmp_path / "report.html"
    result = call("report", "--out", str(out), *ON_AWS)
    assert result.exit_code == 0, result.output
    assert "SYNTHETIC listeners" in result.stdout
    assert out.read_text() == "<html>a"


def test_a_report_without_a_place_to_write_it_to_says_so(aws: Aws, tmp_path: Path) -> None:
    aws.register("a")
    aws.name_champion("a")
    out = tmp_path / "file" / "report.html"
    out.parent.write_text("")
    result = call("report", "--out", str(out), *ON_AWS)
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: " + f"{out.parent}: File exists\n")


def test_there_is_no_report_of_the_prior(aws: Aws) -> None:
    result = call("report", *ON_AWS)
    assert result.exit_code == 1
    assert "the champion is the prior, which has no report" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("status", "--profile", "nobody", "--env", "dev"), 1, "(nobody) could not be found"),
        (("status", "--profile", "nowhere", "--env", "dev"), 1, "'nowhere' has no region"),
        (("status", "--profile", "work"), 1, "also name the environment"),
        (("status", "--profile", "work", "--env", "test"), 1, "is this environment deployed?"),
        (("status", "--profile", "work", "--env", "NO"), 1, "environment 'NO' must be"),
        (("status", "--env", "dev"), 2, "name a --profile too"),
        (("status", "--local", *ON_AWS), 2, "exclude each other"),
        (("up", *ON_AWS), 1, "this command is for the emulator"),
        (("status", "--env", "dev", "--profile"), 2, "--profile needs a value"),
        (("status", "--state", __file__), 2, "is a file"),
        (("report", "--out", "/", *ON_AWS), 2, "is a directory"),
        (("score", "--data", "x", "--out", "/", *ON_AWS), 2, "is a directory"),
        (("models", "promote", "", *ON_AWS), 1, "is this environment deployed?"),
        (("invoke", *ON_AWS), 2, "either a file or --artist"),
        (("invoke", "nofile.json", *ON_AWS), 1, "nofile.json cannot be read"),
        (("invoke", "--artist", " ", *ON_AWS), 2, "--artist has no name"),
        (("invoke", "--artist", "x", "-k", "0", *ON_AWS), 2, "greater than or equal to 1"),
        (("logs", "scoring", *ON_AWS), 1, "listing the runs of listening-dev-country-scoring"),
        (("logs", "cooking", *ON_AWS), 2, "'cooking' is none of embeddings, features"),
        (("status", *ON_AWS), 1, "no system has a champion under /listening/dev/"),
        (("report", "--system", "cooking", *ON_AWS), 2, "'cooking' is none of country"),
    ],
)
@pytest.mark.usefixtures("profiles")
def test_mistakes_are_explained(arguments: tuple[str, ...], code: int, reason: str) -> None:
    result = call(*arguments)
    assert result.exit_code == code, result.output
    text = " ".join(result.stderr.replace("│", " ").split())
    assert reason in text
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [("invoke", "--artist", "x"), ("report",), ("models", "list"), ("logs", "features")],
)
def test_nothing_reaches_aws_without_a_profile(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    result = call(*arguments, "--state", str(tmp_path))
    assert result.exit_code == 1
    assert "nothing was run yet" in result.stderr


def test_the_status_of_an_emulator_that_is_down(tmp_path: Path) -> None:
    result = call("status", "--state", str(tmp_path), "--json")
    assert json.loads(result.stdout) == {"up": False, "has_snapshot": False}
    assert "The emulator was not running." in call("down", "--state", str(tmp_path)).stdout


@pytest.mark.parametrize("command", [("run", "--data"), ("data", "check"), ("data", "upload")])
def test_bad_data_ends_before_anything_starts(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("name,country\n")
    (tmp_path / "top_artists.csv").write_text("user_id,rank,artist_name\na,1,Air\n")
    state = tmp_path / "state"
    result = call(*command, str(tmp_path), "--state", str(state))
    assert result.exit_code == 1
    assert "users.csv: column 'user_id' is missing; the table has name, country" in result.stderr
    assert not state.exists()


def test_a_sample_out_of_range_ends_before_anything_starts(tmp_path: Path) -> None:
    result = call("run", "--listeners", "3", "--state", str(tmp_path))
    assert result.exit_code == 1
    assert "500 to 320,000 listeners, not 3" in result.stderr
    assert not (tmp_path / "emulator.json").exists()


@pytest.mark.usefixtures("aws")
def test_deploying_to_aws_names_the_environment_and_answers_machines(cdk: Path) -> None:
    deployed = call_json("deploy")
    assert deployed == {"environment": "dev", "account": "123456789012"}
    assert "-c env=dev" in cdk.read_text()
    assert cdk.read_text().endswith("deploy --all --profile work\n")


def test_uploading_starts_the_way(aws: Aws, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id,country\na,Iceland\n")
    (tmp_path / "top_artists.csv").write_text("user_id,rank,artist_name\na,1,Air\n")
    facts = call_json("data", "upload", str(tmp_path))
    assert (facts["listeners"], facts["tables"]["top_artists"]["rows"]) == (1, 1)
    keys = aws.connection.s3.list_objects_v2(Bucket=aws.connection.names.data_bucket)
    assert f"raw/{facts['batch']}/_READY" in {entry["Key"] for entry in keys["Contents"]}


def test_what_nobody_could_learn_from_is_not_uploaded(aws: Aws, tmp_path: Path) -> None:
    (tmp_path / "top_artists.csv").write_text("user_id,rank,artist_name\na,1,Air\n")
    assert call("data", "check", str(tmp_path)).exit_code == 0
    refused = call("data", "upload", str(tmp_path), *ON_AWS)
    assert refused.exit_code == 1
    assert "no system can use top_artists alone: country lacks users" in refused.stderr
    (tmp_path / "users.csv").write_text("user_id,country\na,\n")
    refused = call("data", "upload", str(tmp_path), *ON_AWS)
    assert "country lacks labels in column 'country' of users" in refused.stderr
    listed = aws.connection.s3.list_objects_v2(Bucket=aws.connection.names.data_bucket)
    assert "Contents" not in listed


def test_a_system_that_is_not_asked_from_here_says_so(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(ASKING, "country")
    result = call("invoke", "--artist", "x", *ON_AWS)
    assert result.exit_code == 1
    assert "the command line cannot ask this of country" in result.stderr


def test_the_emulator_costs_nothing(tmp_path: Path) -> None:
    assert "costs nothing" in call("cost", "--state", str(tmp_path)).stderr


def test_an_error_that_is_not_ours_keeps_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise DataError("a sentence")

    monkeypatch.setattr("ops.cli.data.check_folder", fail)
    assert call("data", "check", "x").stderr == "Error: a sentence\n"
