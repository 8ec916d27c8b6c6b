"""The cleaning of plays on Spark, and country's lists made from them."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from listening.log.plays import ROW_REASONS
from listening.systems import SYSTEMS
from ops.raw_folder import check_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark

COUNTRY = SYSTEMS["country"]
COLUMNS = ("user_id", "played_at", "ended_at", "track_id", "artist_name", "track_name", "played_s")
DAY = "2023-05-01T"
ROWS: list[tuple[Any, ...]] = [
    # Kept: from the start; from end and length; with an offset; overlapping; without a length.
    ("a", f"{DAY}10:00:00Z", None, "t1", "Air", "One", 100.0),
    ("a", None, f"{DAY}10:05:00Z", "t2", "Air", "Two", 60.0),
    ("a", f"{DAY}14:04:30+04:00", None, "t3", "Muse", "Three", 10.0),
    ("a", f"{DAY}10:30:00Z", f"{DAY}10:31:00Z", None, "Muse", "Four", None),
    ("a", f"{DAY}11:00:00Z", None, "t5", "Bach", "Five", None),
    (" a ", f"{DAY}12:00:00Z", None, "t1", "Air", "One", 100.0),
    # Dropped, each for one reason.
    ("a", f"{DAY}10:00:00.5Z", None, "t1", "Air", "One", 100.0),
    (None, f"{DAY}10:00:00Z", None, "t1", "Air", "One", 1.0),
    ("b", "soon", None, "t1", "Air", "One", 1.0),
    ("b", f"{DAY}10:00:00Z", None, None, " ", "One", 1.0),
    ("b", f"{DAY}10:00:00Z", None, "t1", "Air", "One", -1.0),
    ("b", f"{DAY}10:00:00Z", None, "t1", "Air", "One", 86_401.0),
    ("b", "1999-12-31T23:59:59Z", None, "t1", "Air", "One", 1.0),
    ("b", "2031-01-01", None, "t1", "Air", "One", 1.0),
    # A bot: 30 plays on a day.
    *(
        ("bot", f"{DAY}{i // 2:02}:{30 * (i % 2):02}:00Z", None, "t9", "Spam", "X", 1)
        for i in range(30)
    ),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    plays = folder / "raw" / "log" / "plays"
    plays.mkdir(parents=True)
    for number, rows in enumerate((ROWS[:5], ROWS[5:])):
        table = pa.table(dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))
        pq.write_table(table, plays / f"part-{number}.parquet")
    delivered = folder / "raw" / "delivered"
    delivered.mkdir()
    kept = [("a", "Air")] * 3 + [("a", "Muse")] * 2 + [("a", "Bach")] + [("bot", "Spam")] * 30
    counts = Counter(kept).most_common()
    ranks = {"Air": 1, "Muse": 2, "Bach": 3, "Spam": 1}
    lines = [f"{user},{ranks[artist]},{artist},{n}" for (user, artist), n in counts]
    (delivered / "top_artists.csv").write_text(
        "\n".join(["user_id,rank,artist_name,playcount", *lines]) + "\n"
    )
    return folder


@pytest.fixture(scope="module")
def found(root: Path, run_glue: RunGlue) -> dict[str, Any]:
    ended = run_glue("tests/unit/glue_jobs/clean_log.py", root.as_uri())
    assert ended.returncode == 0, ended.stderr[-3000:]
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result


def test_every_row_is_a_play_or_dropped_for_a_reason(found: dict[str, Any]) -> None:
    quality = found["quality"]
    assert quality["rows_in"] == len(ROWS)
    assert quality["rows_out"] == len(found["plays"]) == 36
    assert quality["rows_in"] == quality["rows_out"] + sum(quality["dropped"].values())
    assert set(quality["dropped"].values()) == {1}
    assert (quality["bots"], quality["of_bots"]) == (1, 30)
    assert (quality["overlapping"], quality["without_length"]) == (1, 1)


def test_plays_are_in_utc_and_in_order(found: dict[str, Any]) -> None:
    mine = [play for play in found["plays"] if play["user_id"] == "a"]
    assert [(p["started_at"][11:], p["track_id"], p["played_s"], p["overlaps"]) for p in mine] == [
        ("10:00:00", "t1", 100, False),
        ("10:04:00", "t2", 60, False),
        ("10:04:30", "t3", 10, True),
        ("10:30:00", None, 60, False),
        ("11:00:00", "t5", None, False),
        ("12:00:00", "t1", 100, False),
    ]
    assert [play["is_bot"] for play in found["plays"]].count(True) == 30


def test_top_artists_from_plays_are_those_of_the_aggregated_table(found: dict[str, Any]) -> None:
    assert found["derived"] == found["delivered"]
    assert len(found["derived"]) == 4


def test_the_check_counts_what_the_cleaning_drops(root: Path) -> None:
    raw = check_folder(root / "raw" / "log")
    assert (raw.lacks(COUNTRY), raw.lacks(COUNTRY, labelled=False)) == ("users", "")
    counts = raw.tables["plays"]
    assert (counts.rows, len(counts.listeners)) == (len(ROWS), 3)
    assert dict(counts.dropped) == dict.fromkeys(ROW_REASONS, 1)
