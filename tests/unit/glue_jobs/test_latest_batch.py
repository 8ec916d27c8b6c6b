"""Which batch a job reads that is told none."""

from __future__ import annotations

from typing import Any, cast

import pytest

from glue_jobs.raw import latest_batch
from glue_jobs.storage import Entry
from listening.errors import DataError

BATCHES = {
    "1-all": {"users.csv": 1, "plays": 1, "_READY": 2},
    "2-sessions-alone": {"users.csv": 3, "plays": 3, "_READY.sessions": 4},
    "3-plays": {"plays.parquet": 5, "_READY": 6},
    "4-on-its-way": {"users.csv": 7, "plays": 7},
    "5-events": {"events.csv": 8, "_READY": 9},
}


class Stored:
    """The names and times of a bucket."""

    def entries(self, key: str) -> list[Entry]:
        batch = key.removeprefix("raw/")
        if not batch:
            return [*(Entry(name, True, 0) for name in BATCHES), Entry("readme", False, 99)]
        return [Entry(name, "." not in name, at) for name, at in BATCHES[batch].items()]

    def uri(self, key: str) -> str:
        return f"s3://data/{key}"


@pytest.mark.parametrize(
    ("system", "needs", "batch"),
    [
        ("country", ("users", "top_artists"), "1-all"),
        ("sessions", ("plays",), "3-plays"),
        ("sessions", ("users", "plays"), "2-sessions-alone"),
        ("charts", ("events",), "5-events"),
    ],
)
def test_it_is_the_last_that_is_ready_and_has_what_is_needed(
    system: str, needs: tuple[str, ...], batch: str
) -> None:
    assert latest_batch(cast("Any", Stored()), system=system, needs=needs) == batch


def test_none_that_has_what_is_needed_is_told() -> None:
    with pytest.raises(DataError, match=r"no batch with ratings and a _READY file; upload ratings"):
        latest_batch(cast("Any", Stored()), system="x", needs=("ratings",))
