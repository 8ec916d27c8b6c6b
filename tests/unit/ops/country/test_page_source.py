"""What the page is told by an environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from listening.errors import RequestError, ResourceError
from ops.cli.app import app
from ops.country.page import EnvironmentSource

if TYPE_CHECKING:
    from conftest import Aws


def test_a_bundles_artists_are_read_from_its_report(aws: Aws) -> None:
    models = aws.connection.names.models_bucket
    aws.put(models, "reports/country/abc/artist_index/index.json", {"artists": ["Björk"]})
    source = EnvironmentSource(aws.connection)
    assert json.loads(source.artist_file("abc", "index.json")) == {"artists": ["Björk"]}
    with pytest.raises(ResourceError, match=r"reports/country/abc/artist_index/7\.json"):
        source.artist_file("abc", "7.json")


def test_before_any_training_there_are_no_artists(aws: Aws) -> None:
    source = EnvironmentSource(aws.connection)
    with pytest.raises(RequestError, match="no bundle was trained") as caught:
        source.artist_file(source.champion(), "index.json")
    assert caught.value.status == 404


def test_a_question_is_passed_on_as_it_is(aws: Aws) -> None:
    aws.name_champion("abc")
    aws.answer()
    source = EnvironmentSource(aws.connection)
    assert source.champion() == "abc"
    answer = json.loads(source.ask(b'{"top_artists": [{"artist_name": "Muse"}]}'))
    assert answer["answers"][0]["bundle_version"] == "abc"


def test_the_page_of_this_machine_is_the_emulators() -> None:
    on_aws = ["up", "--page", "--profile", "work", "--env", "dev"]
    result = CliRunner().invoke(app, on_aws)
    assert result.exit_code == 1
    assert "this command is for the emulator" in result.stderr
