"""What the sessions job refuses to publish, without Spark."""

from __future__ import annotations

from typing import Any

import pytest

from glue_jobs.quality import Limits
from glue_jobs.sessions.sessions import LIMITS, check
from listening.errors import DataError


def quality(*, rows_in: int = 100, rows_out: int = 100, default: int = 0) -> dict[str, Any]:
    lengths = {"play": rows_out - default, "track": 0, "listener": 0, "default": default}
    return {
        "log": {"rows_in": rows_in, "rows_out": rows_out},
        "sessions": {"rows_in": rows_out, "rows_out": 7, "lengths": lengths},
    }


@pytest.mark.parametrize("found", [quality(rows_out=80), quality(default=100)])
def test_a_figure_at_its_limit_passes(found: dict[str, Any]) -> None:
    check(found, Limits(LIMITS))


def test_a_log_of_which_much_is_dropped_is_refused() -> None:
    with pytest.raises(DataError, match=r"plays that are dropped is 0\.210, above .* of 0\.2"):
        check(quality(rows_out=79), Limits(LIMITS))


def test_a_log_of_lengths_that_nobody_knows_is_refused_where_that_is_asked_for() -> None:
    with pytest.raises(DataError, match=r"unknown length is 0\.510, .* raise --max_default_share"):
        check(quality(default=51), Limits(LIMITS | {"max_default_share": 0.5}))


def test_a_log_of_which_nothing_is_kept_is_refused() -> None:
    with pytest.raises(DataError, match=r"dropped is 1\.000"):
        check(quality(rows_out=0), Limits(LIMITS))
    check(quality(rows_out=0), Limits({"max_dropped_share": 1.0, "max_default_share": 0.0}))
