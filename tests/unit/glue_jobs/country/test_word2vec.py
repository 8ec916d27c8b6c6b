"""How far a seed fixes word2vec's vectors where several partitions learn side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark


def test_two_runs_of_several_partitions_agree_within_the_stated_tolerance(
    run_glue: RunGlue,
) -> None:
    ended = run_glue("tests/unit/glue_jobs/word2vec_twice.py")
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["correlation"] >= 0.9, found
