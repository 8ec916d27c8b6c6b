"""What only AWS can answer, asked of an environment that is deployed there.

``MUSIC_COUNTRY_PROFILE=me MUSIC_COUNTRY_ENV=dev pytest -m aws tests/aws``; costs a short Glue run.
"""

from __future__ import annotations

import os

import pytest

from music_country import smoke
from music_country.connection import Connection, connect_aws

pytestmark = pytest.mark.aws


@pytest.fixture(scope="session")
def connection() -> Connection:
    missing = [n for n in ("MUSIC_COUNTRY_PROFILE", "MUSIC_COUNTRY_ENV") if n not in os.environ]
    assert not missing, f"say where the environment is: {', '.join(missing)}"
    return connect_aws(
        os.environ["MUSIC_COUNTRY_PROFILE"], environment=os.environ["MUSIC_COUNTRY_ENV"]
    )


@pytest.mark.timeout(smoke.RUN_SECONDS + 60)
@pytest.mark.parametrize("name", smoke.CHECKS)
def test_the_environment_passes(connection: Connection, name: str) -> None:
    found = dict(smoke.checks(connection))[name]()
    assert found.state == smoke.OK, found.detail
