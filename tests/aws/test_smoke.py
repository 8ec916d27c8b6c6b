"""What only AWS can answer, asked of an environment that is deployed there.

``LISTENING_PROFILE=me LISTENING_ENV=dev pytest -m aws tests/aws``; costs a short Glue run.
"""

from __future__ import annotations

import os

import pytest

from ops import smoke
from ops.connection import Connection, connect_aws
from ops.country.checks import RUN_SECONDS

pytestmark = pytest.mark.aws


@pytest.fixture(scope="session")
def connection() -> Connection:
    missing = [n for n in ("LISTENING_PROFILE", "LISTENING_ENV") if n not in os.environ]
    assert not missing, f"say where the environment is: {', '.join(missing)}"
    return connect_aws(os.environ["LISTENING_PROFILE"], environment=os.environ["LISTENING_ENV"])


@pytest.mark.timeout(RUN_SECONDS + 60)
@pytest.mark.parametrize("name", smoke.CHECKS)
def test_the_environment_passes(connection: Connection, name: str) -> None:
    found = dict(smoke.checks(connection))[name]()
    if found.state == smoke.SKIPPED:
        pytest.skip(found.detail)
    assert found.state == smoke.OK, found.detail
